namespace Kmem.Engine.Os;

/// <summary>
/// What the engine asks of an operating system, as function pointers, so that a test can put a simulated or a
/// failing machine in its place.
/// </summary>
/// <remarks>
/// <para>Vocabulary. <em>Reserve</em> takes address space that no access may touch. <em>Commit</em> makes whole pages
/// of it readable and writable; they read as zero until written. <em>Purge</em> gives the contents of committed
/// pages back: they stay accessible and read as zero again. <em>Protect</em> makes committed pages inaccessible or
/// accessible again, contents kept. <em>Release</em> ends a reservation as a whole.</para>
/// <para>Each call gets the table's <see cref="Context"/>, is safe from several threads at once, and reports
/// failure by its result (null or false) without side effects: the caller goes on as if nothing had been asked.</para>
/// </remarks>
internal unsafe struct OsTable
{
    /// <summary>Passed to every function; null for the real systems.</summary>
    public void* Context;

    /// <summary>(context, bytes, alignment in bytes) → address, or null.</summary>
    public delegate*<void*, nuint, nuint, void*> Reserve;

    /// <summary>(context, address, bytes) → success.</summary>
    public delegate*<void*, void*, nuint, bool> Commit;

    /// <summary>(context, address, bytes) → success.</summary>
    public delegate*<void*, void*, nuint, bool> Purge;

    /// <summary>(context, address, bytes, accessible) → success.</summary>
    public delegate*<void*, void*, nuint, bool, bool> Protect;

    /// <summary>(context, address, bytes). Cannot fail.</summary>
    public delegate*<void*, void*, nuint, void> Release;

    /// <summary>(context) → monotonic time in milliseconds.</summary>
    public delegate*<void*, long> NowMilliseconds;
}
