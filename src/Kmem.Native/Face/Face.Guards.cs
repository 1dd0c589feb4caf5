using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Native;

namespace Kmem.Engine;

/// <summary>What guarded objects ask of the process.</summary>
internal static unsafe partial class Face
{
    private const int ProtectionRead = 1;
    private const int ProtectionWrite = 2;
    private const int ProtectionExecute = 4;
    private const int MapPrivateAnonymous = 0x22;

    private const int SegmentationFault = 11;

    /// <summary>glibc's <c>struct sigaction</c>: handler, set of signals, flags, restorer.</summary>
    private const int ActionBytes = 152;
    private const int FlagsOffset = 136;
    private const int FlagInformation = 4;
    private const int FlagOnStack = 0x0800_0000;

    private static FaultDirectory* s_directory;

    /// <summary>From now on a fault in the pool says whose the address is. There is one heap, and it makes its pool once.</summary>
    public static void WatchFaults(FaultPool pool)
    {
        if (s_directory == null)
        {
            s_directory = InstallFaultHandler();
        }

        if (s_directory != null)
        {
            _ = FaultDirectory.TryAdd(s_directory, pool);
        }
    }

    public static void UnwatchFaults(nuint start) => FaultDirectory.Remove(s_directory, start);

    /// <summary>Writes what a fault will say of the object into its slot; returns the bytes.</summary>
    public static int DescribeGuarded(Cache* twin, GuardSlot* slot, bool isFreed)
    {
        TextLine line = default;
        line.Add(": object ");
        line.AddHex(slot->Object);
        line.Add(" of ");
        line.Add(slot->Track.RequestedBytes);
        line.Add(" bytes of ");
        line.Add(twin->Name);
        line.Add(", allocated by thread ");
        line.Add(slot->Track.AllocThread);
        if (isFreed)
        {
            line.Add(", freed by thread ");
            line.Add(slot->Track.FreeThread);
        }

        return line.CopyTo(slot->Text, GuardSlot.TextBytesMax);
    }

    /// <summary>Null where it cannot be.</summary>
    private static FaultDirectory* InstallFaultHandler()
    {
        nuint directoryBytes = (nuint)sizeof(FaultDirectory);
        byte* memory = (byte*)Libc.mmap(null, directoryBytes + FaultHandler.CodeSizeBytes, ProtectionRead | ProtectionWrite, MapPrivateAnonymous, -1, 0);
        if (memory == (byte*)-1)
        {
            return null;
        }

        FaultDirectory* directory = (FaultDirectory*)memory;
        byte* code = memory + directoryBytes;
        FaultDirectory.Initialize(directory);
        FaultHandler.Emit(code, directory);
        byte* action = stackalloc byte[ActionBytes];
        if (Libc.mprotect(code, FaultHandler.CodeSizeBytes, ProtectionRead | ProtectionExecute) != 0 || Libc.sigaction(SegmentationFault, null, action) != 0)
        {
            return null;
        }

        directory->Previous = *(nuint*)action;
        *(nuint*)action = (nuint)code;
        *(int*)(action + FlagsOffset) |= FlagInformation | FlagOnStack;
        return Libc.sigaction(SegmentationFault, action, null) == 0 ? directory : null;
    }
}
