using System;

namespace Kmem.Extensions;

/// <summary>Settings of the object pools of a host.</summary>
public sealed class KmemObjectPoolOptions
{
    /// <summary>Objects that each pool keeps at most; 1 at least. Default twice the number of CPUs.</summary>
    public int MaximumRetained { get; set; } = Environment.ProcessorCount * 2;
}
