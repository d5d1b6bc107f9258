"""The engine: requests in, tokens out.

    LLM -> LLMEngine -> EngineCore -> Scheduler -> KVCacheManager -> BlockPool, PrefixIndex
                                   -> ModelRunner (graph, compiled)
                     -> OutputProcessor -> Detokenizer

    AsyncLLM -> the same two halves, with a socket between them: process/

Scheduler, cache and output handling know nothing of models; the runner knows nothing of requests. The core knows
tokens, the output processor text.
"""
