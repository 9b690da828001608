"""What operators and scripts talk to: events, incidents, status, health, the live stream."""
