"""What looks at the heads of requests and responses; each is registered only when it is switched on."""
