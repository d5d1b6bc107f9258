"""A cluster in virtual time: the real router, scheduler and block manager over a model of how long a step takes."""
