using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Native;

/// <summary>
/// Keeps to the limit of a process's address space (<c>ulimit -v</c>, <c>RLIMIT_AS</c>). The heap reserves its addresses when it is made, so that the
/// kernel would not stop it any more when a limit is set later: what is committed counts instead.
/// </summary>
internal static unsafe class AddressSpaceLimit
{
    private const int ResourceAddressSpace = 9;

    private static delegate*<void*, void*, nuint, bool> s_commit;
    private static ulong s_committed;

    /// <summary>The limit in bytes; the largest number where there is none.</summary>
    public static ulong Bytes
    {
        get
        {
            Limits limits = default;
            return getrlimit(ResourceAddressSpace, &limits) == 0 ? limits.Soft : ulong.MaxValue;
        }
    }

    /// <summary>Puts the check in front of the table's commit.</summary>
    public static void Watch(OsTable* table)
    {
        s_commit = table->Commit;
        table->Commit = &Commit;
    }

    private static bool Commit(void* context, void* address, nuint bytes)
    {
        fixed (ulong* committed = &s_committed)
        {
            ulong before = Atomic.Load(committed);
            if (before + bytes > Bytes || !s_commit(context, address, bytes))
            {
                return false;
            }

            while (!Atomic.CompareExchange(committed, before, before + bytes))
            {
                before = Atomic.Load(committed);
            }

            return true;
        }
    }

    private struct Limits
    {
        public ulong Soft;
        public ulong Hard;
    }

#pragma warning disable IDE1006, SYSLIB1054 // The name is libc's.
    [RuntimeImport("*", "getrlimit")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int getrlimit(int resource, Limits* limits);
#pragma warning restore IDE1006, SYSLIB1054
}
