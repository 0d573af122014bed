"""Reads many rows and writes a table: a pool of processes, the sources of rows, and a scoring that can be resumed.

`pool.start_workers` starts the processes of a batch, or actors on a Ray cluster. A server uses `pool.Pool` itself:
`submit(job)` gives a future, `stop` gives a job up and kills the process that does it, and another process takes its
place. `reads(name)` tells the pool what a process reads, so that an error names the picture that a process died of.

`score.tabulate(source, out, task, asked, …)` reads every row of a `sources.Source` with a `score.Task`, and writes the
results with `score.Output`, which continues where it was stopped.
"""
