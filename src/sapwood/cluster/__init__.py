"""Several engines that behave like one good server."""
