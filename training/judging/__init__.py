"""How the bundled models are measured, through a real llama-server.

Read in this order: serving (a server as a child), tokens, lines, chat, cases, speed, table.
"""
