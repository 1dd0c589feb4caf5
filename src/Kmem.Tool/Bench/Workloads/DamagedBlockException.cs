using System;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>An object did not hold what was written to it: the allocator handed its memory out twice, or wrote to it.</summary>
internal sealed class DamagedBlockException : Exception
{
    /// <param name="number">The object's number in its workload.</param>
    public DamagedBlockException(long number)
        : base($"object {number} does not hold what was written to it")
    {
    }

    /// <summary>Two rounds of the same work did not read the same marks.</summary>
    public DamagedBlockException(ulong expectedHash, ulong hash)
        : base($"a round has hash {hash:x16} and the one before it {expectedHash:x16}: an object did not hold what was written to it")
    {
    }
}
