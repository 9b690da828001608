"""The bare models: requests for `tier/*` go to the tier's endpoint as they came.

Read `paths` (what is relayed), `relay` (the ASGI layer: for whom a request is), `passing` (to
the tier and back), `upstream` (the connections), `transfer` (an answer on its way back), then the
small ones: `asking`, `bodies`, `headers`, `framing`, `places`, `presence`, `refusals`, `served`.
"""
