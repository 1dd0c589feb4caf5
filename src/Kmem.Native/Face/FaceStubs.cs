using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Primitives;
using Kmem.Native;

namespace Kmem.Engine;

/// <summary>
/// Addresses of the restartable-sequence stubs: plain statics, filled by <see cref="Initialize"/> before the first
/// heap is made. All zero where the machine has no restartable sequences or forbids executable memory.
/// </summary>
internal static unsafe class FaceStubs
{
    public static nint Pop;
    public static nint Push;
    public static nint Exchange;
    public static nint PopBulk;
    public static nint PushBulk;
    public static nint CurrentCpu;

    public static bool Available => Pop != 0;

    private const int ProtectionRead = 1;
    private const int ProtectionWrite = 2;
    private const int ProtectionExecute = 4;
    private const int MapPrivateAnonymous = 0x22;

    private const ulong AuxvRseqFeatureSize = 27;
    private const ulong FeatureSizeWithMmCid = 28;

    private const int OffsetOfCpuId = 4;
    private const int OffsetOfDescriptor = 8;
    private const int OffsetOfMmCid = 24;

    /// <summary>Emits the stubs. Called once, before any other thread can allocate.</summary>
    public static void Initialize()
    {
        RestartableArea area;
        if (!TryFindArea(&area) || !Face.RegisterBarrier())
        {
            return;
        }

        byte* code = (byte*)Libc.mmap(null, RestartableSequence.CodeSizeBytes, ProtectionRead | ProtectionWrite, MapPrivateAnonymous, -1, 0);
        if (code == (byte*)-1)
        {
            return;
        }

        RestartableStubs stubs;
        RestartableSequence.Emit(code, area, &stubs);
        if (Libc.mprotect(code, RestartableSequence.CodeSizeBytes, ProtectionRead | ProtectionExecute) != 0)
        {
            _ = Libc.munmap(code, RestartableSequence.CodeSizeBytes);
            return;
        }

        Push = stubs.Push;
        Exchange = stubs.Exchange;
        PopBulk = stubs.PopBulk;
        PushBulk = stubs.PushBulk;
        CurrentCpu = stubs.CurrentCpu;
        Pop = stubs.Pop;
    }

    private static bool TryFindArea(RestartableArea* area)
    {
        long offset = entry_rseq_offset();
        if (offset == 0 || offset != (int)offset)
        {
            return false;
        }

        bool hasMmCid = Libc.getauxval(AuxvRseqFeatureSize) >= FeatureSizeWithMmCid;
        area->DescriptorOffset = (int)offset + OffsetOfDescriptor;
        area->CpuOffset = (int)offset + (hasMmCid ? OffsetOfMmCid : OffsetOfCpuId);
        area->CpuCount = Face.CpuCountMax();
        return true;
    }

#pragma warning disable IDE1006, SYSLIB1054 // The name is that in entry.c.
    /// <summary>0 where the C library did not register the area, or does not say where it is.</summary>
    [RuntimeImport("*", "entry_rseq_offset")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern long entry_rseq_offset();
#pragma warning restore IDE1006, SYSLIB1054
}
