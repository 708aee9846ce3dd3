"""What sees bodies: pure ASGI classes."""
