using System;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>An object did not hold what was written to it: the allocator handed its memory out twice, or wrote to it.</summary>
internal sealed class DamagedBlockException : Exception
{
    public DamagedBlockException(long number)
        : base($"object {number} does not hold what was written to it")
    {
    }
}
