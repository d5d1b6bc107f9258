"""Where each word of the thread pool's state lies (library/pool.py). It is a block of i64 words."""

GENERATION = 0  # futex word: counts jobs
THREADS = 1  # size of the pool, the caller included
BUSY = 2  # 1 while a job runs
BODY, CONTEXT, CHUNKS, NEXT = 3, 4, 5, 6
ACTIVE = 7  # futex word: workers that may be inside the job
OPEN = 8  # whether workers may join
STARTED = 9
FAILED = 10  # lowest chunk that raised
LOCK = 11  # guards the record
SLEEPERS = 12
LIMIT = 13  # how many threads may take part now; 0: all of them
JOINED = 14  # workers that have joined the job
RECORD = 16  # the error record of the lowest failing chunk, 10 words
SIGNALS = 32  # a full signal set, 16 words
THREAD_IDS = 48
WORDS = 64
