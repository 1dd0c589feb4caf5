namespace Kmem;

/// <summary>How the per-CPU magazines are reached.</summary>
public enum KmemFrontEnd
{
    /// <summary>
    /// <see cref="RestartableSequences"/> where the machine has them, else <see cref="TryLock"/>. The environment
    /// variable <c>KMEM_FRONT_END</c> (<c>rseq</c> or <c>lock</c>) decides for heaps that leave the choice open.
    /// </summary>
    Auto,

    /// <summary>
    /// Linux restartable sequences: no atomic instruction. Needs x64 Linux, glibc 2.35 or newer, and executable memory. With it, threads have magazines of their
    /// own in the shared heap.
    /// </summary>
    RestartableSequences,

    /// <summary>One atomic exchange per operation, and no magazines of threads. Works everywhere.</summary>
    TryLock,
}

/// <summary>Which sizes <c>Kmalloc</c> rounds up to.</summary>
public enum KmemSizeClasses
{
    /// <summary>Multiples of 16 bytes up to 128, then eight classes per doubling up to 32 KiB: at most a ninth is lost to rounding above 128 bytes.</summary>
    Default,

    /// <summary>The Linux kernel's: 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096 and 8192 bytes.</summary>
    Kernel,
}

/// <summary>Which rule decides how many pages a slab has.</summary>
public enum KmemSlabRule
{
    /// <summary>Kmem's own: little waste at the end of a slab, enough objects to fill a magazine.</summary>
    Default,

    /// <summary>The Linux kernel's (SLUB), page order 0 to 3, computed with the number of CPUs.</summary>
    Kernel,
}

/// <summary>What is done when a caller's mistake is found: a foreign pointer, a double free and their like.</summary>
public enum KmemMisusePolicy
{
    /// <summary>Throw <see cref="KmemMisuseException"/> from the call that found it. The heap is unharmed.</summary>
    Throw,

    /// <summary>End the process with the report as its message.</summary>
    FailFast,

    /// <summary>
    /// Report and go on: a damaged object's whole slab is set aside, the caller gets another one. Mistakes at a free that damaged nothing throw all the same.
    /// </summary>
    Quarantine,

    /// <summary>Report and go on: the damaged object is made whole and stays in use. Mistakes at a free that damaged nothing throw all the same.</summary>
    Repair,
}

/// <summary>Settings of a <see cref="KmemHeap"/>. They are read when the heap is made; later changes have no effect.</summary>
public sealed class KmemHeapOptions
{
    /// <summary>Name of the heap in reports. Default <c>heap</c>.</summary>
    public string Name { get; set; } = "heap";

    /// <summary>How the per-CPU magazines are reached.</summary>
    public KmemFrontEnd FrontEnd { get; set; }

    /// <summary>Size classes of <see cref="KmemHeap.Alloc(nuint)"/>.</summary>
    public KmemSizeClasses SizeClasses { get; set; }

    /// <summary>The rule for slabs of the size classes and of caches that do not say otherwise.</summary>
    public KmemSlabRule SlabRule { get; set; }

    /// <summary>
    /// Address space to reserve, in bytes; a multiple of 4 MiB is used. 0, the default, takes 256 GiB or what the OS
    /// allows. Reserving costs no memory. It bounds the pages that the heap can hold when <see cref="Growable"/> is false; its own tables come on top, some 2 % of what is in use.
    /// </summary>
    public nuint ReserveBytes { get; set; }

    /// <summary>Whether further ranges are reserved when the first is full. Default true.</summary>
    public bool Growable { get; set; } = true;

    /// <summary>Free pages go back to the OS when they have been free for so long, in milliseconds. Default 1000; 0 gives them back at the next maintenance.</summary>
    public int PurgeDelayMilliseconds { get; set; } = 1000;

    /// <summary>
    /// Interval of background maintenance in milliseconds (reaping of unused magazines and slabs, purging of pages). Magazines of CPUs and threads are
    /// emptied when they were not used for five passes.
    /// Default 1000; 0 turns it off, and <see cref="KmemHeap.Maintain"/> is left to the caller.
    /// </summary>
    public int MaintenanceIntervalMilliseconds { get; set; } = 1000;

    /// <summary>What is done about a caller's mistake.</summary>
    public KmemMisusePolicy MisusePolicy { get; set; }

    /// <summary>
    /// What is checked in which caches, in the form of the kernel's <c>slab_debug</c>: letters of <see cref="KmemChecks"/>, a comma and names with <c>*</c>, blocks
    /// apart by <c>;</c>. <c>FZPU</c> is all in all caches, <c>FZPU,kmalloc-*;-,dentry</c> all in the size classes, nothing in dentry. Null, the default, takes the environment
    /// variable <c>KMEM_DEBUG</c>.
    /// </summary>
    public string? Debug { get; set; }

    /// <summary>
    /// Mean bytes between two samples of the profile (<see cref="KmemHeap.GetProfile"/>); 0 takes none. Null, the default, takes the environment variable <c>KMEM_PROFILE</c>,
    /// else 0. 524288 is a good value. 1 TiB at most. It can be changed later: <see cref="KmemHeap.ProfileIntervalBytes"/>.
    /// </summary>
    public nuint? ProfileIntervalBytes { get; set; }

    /// <summary>
    /// At such intervals, in milliseconds, an allocation gets guarded pages of its own (<see cref="KmemHeap.GuardIntervalMilliseconds"/>); 0: none does. Null, the default,
    /// takes the environment variable <c>KMEM_GUARD</c>, else 0. 100 is a good value.
    /// </summary>
    public int? GuardIntervalMilliseconds { get; set; }

    /// <summary>
    /// Guarded objects that can be live at a time, 1 to 4096; default 128. Each is 8 KiB of addresses of the heap, and about 8 KiB of memory once it was used.
    /// </summary>
    public int GuardedObjects { get; set; } = 128;

    /// <summary>
    /// Whether <see cref="KmemHeap.Dispose"/> reports what is live then, by site where the letter U is on, as <see cref="KmemMisuse.Leaked"/> through
    /// <see cref="KmemReports.Reported"/>, or on standard error where nobody listens. Nothing is thrown. Default false.
    /// </summary>
    public bool ReportLeaksAtDispose { get; set; }

    internal KmemHeapOptions Copy() => (KmemHeapOptions)MemberwiseClone();
}
