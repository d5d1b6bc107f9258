"""OpenAI's API: request and response structs, and what becomes of a request."""
