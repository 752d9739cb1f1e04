"""Meetings that several processes share: gateways that hear them, workers that caption them, APIs that show them."""
