"""What happens to one request and to many: plan, attempts, pace, the embedded path, and the portal to it."""
