"""OpenAI's Responses API for the model `triaged`.

Read `requests` (what is accepted), `items` and `reading` (what a conversation is made of), `tools`
(the client's), `history` (items as chat messages), `output` (agent events to items and stream
events), `draft` (a response in the making), `prepare` (a request made ready to be asked), `answer`
(from the first event to the last), `routes`.
"""
