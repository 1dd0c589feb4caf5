using System;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;

namespace Kmem.Engine;

/// <summary>
/// Addresses of the restartable-sequence stubs. They are read-only statics, so that the JIT folds them into constants at
/// the call. All zero where the machine has no restartable sequences or forbids executable memory.
/// </summary>
internal static unsafe class FaceStubs
{
    private static readonly RestartableStubs s_stubs = Emit();

    public static readonly nint Pop = s_stubs.Pop;
    public static readonly nint Push = s_stubs.Push;
    public static readonly nint Exchange = s_stubs.Exchange;
    public static readonly nint PopBulk = s_stubs.PopBulk;
    public static readonly nint PushBulk = s_stubs.PushBulk;
    public static readonly nint CurrentCpu = s_stubs.CurrentCpu;
    public static readonly nint Abandon = s_stubs.Abandon;
    public static readonly nint FramePointer = s_stubs.FramePointer;

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

    private static RestartableStubs Emit()
    {
        RestartableStubs stubs = default;
        if (!TryFindArea(out RestartableArea area) || !Face.RegisterBarrier())
        {
            return default;
        }

        unsafe
        {
            // SAFETY: a fresh private mapping, written within CodeSizeBytes before it is made executable.
            byte* code = (byte*)MapMemory(null, RestartableSequence.CodeSizeBytes, ProtectionRead | ProtectionWrite, MapPrivateAnonymous, -1, 0);
            if (code == (byte*)-1)
            {
                return default;
            }

            RestartableSequence.Emit(code, area, &stubs);
            if (ProtectMemory(code, RestartableSequence.CodeSizeBytes, ProtectionRead | ProtectionExecute) != 0)
            {
                _ = UnmapMemory(code, RestartableSequence.CodeSizeBytes);
                return default;
            }
        }

        return stubs;
    }

    /// <summary>glibc says where its area lies in two exported variables; a size of 0 means that it did not register.</summary>
    private static bool TryFindArea(out RestartableArea area)
    {
        area = default;
        if (!OperatingSystem.IsLinux()
            || RuntimeInformation.ProcessArchitecture != Architecture.X64
            || !NativeLibrary.TryLoad("libc.so.6", out nint libc)
            || !NativeLibrary.TryGetExport(libc, "__rseq_offset", out nint offset)
            || !NativeLibrary.TryGetExport(libc, "__rseq_size", out nint size)
            || *(uint*)size == 0)
        {
            return false;
        }

        long fromThreadPointer = *(long*)offset;
        if (fromThreadPointer != (int)fromThreadPointer)
        {
            return false;
        }

        bool hasMmCid = GetAuxiliaryValue(AuxvRseqFeatureSize) >= FeatureSizeWithMmCid;
        area = new RestartableArea
        {
            DescriptorOffset = (int)fromThreadPointer + OffsetOfDescriptor,
            CpuOffset = (int)fromThreadPointer + (hasMmCid ? OffsetOfMmCid : OffsetOfCpuId),
            CpuCount = Face.CpuCountMax(),
            WindowsOffset = ThreadFront.RememberedOffset,
            WindowCount = ThreadFront.RememberedCount,
            AbandonedOffset = ThreadFront.StateOffset,
            AbandonedValue = ThreadFrontState.Abandoned,
        };
        return true;
    }

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint size, int protection, int flags, int file, long offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint size, int protection);

    [DllImport("libc", EntryPoint = "munmap")]
    private static extern int UnmapMemory(void* address, nuint size);

    [DllImport("libc", EntryPoint = "getauxval")]
    private static extern ulong GetAuxiliaryValue(ulong type);
}
