namespace Kmem.Engine.Primitives;

// Theory.
//
// Linux lets a thread name a short run of its machine code as a *restartable sequence*: if the thread is preempted,
// migrated or signalled inside it, the kernel sends it to an abort address instead of letting it go on. A sequence
// that ends in one store is therefore atomic with respect to every other thread on the same CPU, without an atomic
// instruction. glibc registers the per-thread area that the kernel looks at; it lies at a fixed offset from the
// thread pointer:
//
//      + 4  cpu_id        number of the current CPU; negative while not registered
//      + 8  rseq_cs       address of the descriptor of the sequence that the thread is in, or 0
//      +24  mm_cid        a small dense number: no two running threads of the process have the same (kernel 6.3)
//
// A sequence must be contiguous code with a descriptor (start, length, abort address) and a signature before the abort
// address. A JIT cannot promise that, so the operations are emitted as machine code when the process starts.
// They work on *slots*: one 8-byte word per cache and CPU,
//
//      address of a magazine << 16 | rounds            0: no magazine
//
// at `slot of CPU 0 + (cpu << CpuAreaShift)`. A magazine starts with its capacity (2 bytes); its rounds start
// at byte 16. The committing store writes the word:
//
//      pop        word - 1   after reading the top round
//      push       word + 1   after writing above the top round
//      exchange   any word   if the CPU and the word are still the expected ones
//
// Taking a slot away from another CPU: exchange its word with 0 atomically, then call the barrier, which
// restarts every sequence that runs anywhere in the process, then look again. If the word is still 0, nobody
// can commit to the magazine any more; if a sequence committed in between, its word is there: do it again.

/// <summary>Addresses of the emitted operations. All zero where the machine has no restartable sequences.</summary>
internal struct RestartableStubs
{
    public nint Pop;
    public nint Push;
    public nint Exchange;
    public nint PopBulk;
    public nint PushBulk;
    public nint CurrentCpu;

    /// <summary>Not a sequence: clears the words that its argument remembers, and marks it as abandoned. Runs when a thread ends, where no managed code can.</summary>
    public nint Abandon;

    /// <summary>() → the caller's frame pointer. No sequence: it is here because this is the code that is emitted.</summary>
    public nint FramePointer;
}

/// <summary>Where glibc and the kernel keep what a sequence needs: offsets from the thread pointer.</summary>
internal struct RestartableArea
{
    /// <summary>Of <c>rseq_cs</c>.</summary>
    public int DescriptorOffset;

    /// <summary>Of <c>mm_cid</c>, or of <c>cpu_id</c> on older kernels.</summary>
    public int CpuOffset;

    /// <summary>CPU numbers from here on have no slots: the stubs answer "slow".</summary>
    public int CpuCount;

    /// <summary>What <see cref="RestartableStubs.Abandon"/> writes, and where: distances from its argument; the second is below 128.</summary>
    public int WindowsOffset;

    public int WindowCount;

    public int AbandonedOffset;

    public int AbandonedValue;
}

/// <summary>
/// The operations on the current CPU's slot. Each takes the address of the slot on CPU 0, and does nothing and says so
/// when it cannot: no magazine, nothing in it, no room, or a CPU without slots.
/// </summary>
/// <remarks>About ten instructions and one store each; no locked instruction, no call. Source: Desnoyers, "Restartable sequences"; tcmalloc.</remarks>
internal static unsafe partial class RestartableSequence
{
    /// <summary>Distance of two CPUs' areas: 2 MiB of address space, of which little is ever touched.</summary>
    public const int CpuAreaShift = 21;

    /// <summary>The top round of the loaded magazine, or null.</summary>
    public static void* Pop(nuint slot) =>
        ((delegate* unmanaged[SuppressGCTransition]<nuint, void*>)FaceStubs.Pop)(slot);

    /// <summary>False also when <paramref name="round"/> already is the top round: it is being freed twice.</summary>
    public static bool Push(nuint slot, void* round) =>
        ((delegate* unmanaged[SuppressGCTransition]<nuint, void*, int>)FaceStubs.Push)(slot, round) != 0;

    /// <summary>Replaces the word of the slot, if this thread runs on <paramref name="cpu"/> and the word is <paramref name="expected"/>.</summary>
    public static bool Exchange(nuint slot, int cpu, ulong expected, ulong word) =>
        ((delegate* unmanaged[SuppressGCTransition]<nuint, int, ulong, ulong, int>)FaceStubs.Exchange)(slot, cpu, expected, word) != 0;

    /// <summary>Pops up to <paramref name="count"/> rounds; returns how many.</summary>
    public static int PopBulk(nuint slot, nuint* rounds, int count) =>
        ((delegate* unmanaged[SuppressGCTransition]<nuint, nuint*, int, int>)FaceStubs.PopBulk)(slot, rounds, count);

    /// <summary>Pushes up to <paramref name="count"/> rounds; returns how many.</summary>
    public static int PushBulk(nuint slot, nuint* rounds, int count) =>
        ((delegate* unmanaged[SuppressGCTransition]<nuint, nuint*, int, int>)FaceStubs.PushBulk)(slot, rounds, count);

    /// <summary>The number that the stubs index with; not below the count of CPUs, or negative, for a CPU without slots.</summary>
    public static int CurrentCpu() => ((delegate* unmanaged[SuppressGCTransition]<int>)FaceStubs.CurrentCpu)();
}
