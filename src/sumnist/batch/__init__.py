"""Reads many rows and writes a table: a pool of processes, the sources of rows, and a scoring that can be resumed.

`pool.Worker()` is one process that does one job at a time. `start(prepare)` waits until it is ready. `ask(job)` gives
the result or raises the job's own error; it raises `WorkerError` if the process has died. `kill` ends the process at
once, from any thread, and `close` tidies up. A server, which must be able to kill a single process, uses `Worker`
directly, with `ask` in a thread. `pool.start_workers` starts a pool of workers, or of actors on a Ray cluster.

`score.tabulate(source, out, task, asked, …)` reads every row of a `sources.Source` with a `score.Task`, and writes the
results with `score.Output`, which continues where it was stopped.
"""
