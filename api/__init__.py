"""What answers on 8083.

Read in this order: `ports` (what it needs of the daemon), `app` (the FastAPI factory), `openai`
(the OpenAI-compatible facade), `relay` (the bare models), `operator` (events, incidents, status,
health), `telemetry` (what is measured), `web` (the page).
"""
