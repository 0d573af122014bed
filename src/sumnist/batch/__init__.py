"""Many rows in, a table out: a pool of processes, the sources of rows, the journal of what is done, and `score`.

`pool.Worker()` is one process that does one job at a time: `start(prepare)` waits until it can, `ask(job)` gives the
result or raises the job's own error, and `WorkerError` if the process has died; `kill` ends it at once, from any
thread, and `close` tidies up. Whoever needs a process that can be killed alone, as a server does, uses it directly,
with `ask` in a thread. `pool.start_workers` is a pool of them, or of actors on a Ray cluster.

`score.tabulate(source, out, task, asked, …)` reads every row of a `sources.Source` by a `score.Task` and writes
`score.Output`, which goes on where it was stopped.
"""
