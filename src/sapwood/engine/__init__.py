"""The engine: requests in, tokens out.

    LLM -> LLMEngine -> Scheduler -> KVCacheManager -> BlockPool
                     -> ModelRunner (graph, compiled)
                     -> OutputProcessor -> detokenizer

Scheduler, cache and output handling know nothing of models; the runner knows nothing of requests.
"""
