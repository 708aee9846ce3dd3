"""What moderators may."""

MODERATE = "social:moderate"
