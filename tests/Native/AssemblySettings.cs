// Most of the time a test waits for its programs. Two classes at once keep two CPUs busy, and leave them air where a project beside this one runs.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.Collections, MaxThreads = 2)]
