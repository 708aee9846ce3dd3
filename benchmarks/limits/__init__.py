"""Do limits hold with many workers and clients, and while their store comes and goes?"""
