// Most of the time a test waits for its programs. Two at once keep two CPUs busy, and leave them air where a project beside this one runs.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.All, MaxThreads = 2)]
