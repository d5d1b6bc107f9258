"""Ring 2: graphs of tensor operations, fused and compiled to one native step."""
