"""What answers on 8083.

Read in this order: `ports` (what it needs of the daemon), `app` (the FastAPI factory), `openai`
(the OpenAI-compatible facade), `operator` (events, incidents, status, health), `web` (the page).
"""
