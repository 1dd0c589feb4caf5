using Microsoft.AspNetCore.Connections;

namespace Kmem.AspNetCore;

/// <summary>Settings of the pools that servers and pipelines get.</summary>
public sealed class KmemMemoryPoolOptions
{
    /// <summary>
    /// Size of a block in bytes, 512 to 1 MiB. Default 4096, as in Kestrel's own pool. Whoever wants more than a block at once gets an array, as there.
    /// </summary>
    public int BlockBytes { get; set; } = 4096;

    /// <summary>Whether every lease is checked for itself (<see cref="SlabMemoryPool.ChecksLeases"/>): to look for a mistake, not for production.</summary>
    public bool CheckLeases { get; set; }

    /// <summary>
    /// Whether Kestrel's TCP and Unix sockets are served by a transport that sends from any memory. Default true. The transport that comes with Kestrel sends an answer of more than one block from arrays
    /// only, and breaks the connection with any other memory: without this one, only something else than Kestrel may use the pools.
    /// </summary>
    public bool UseTransport { get; set; } = true;
}
