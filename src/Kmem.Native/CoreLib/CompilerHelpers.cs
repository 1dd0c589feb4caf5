using System.Runtime;
using System.Runtime.CompilerServices;

// What the compiler to machine code calls by name.

namespace System
{
    /// <summary>Fills and copies that the compiler does not write out as instructions.</summary>
    internal static unsafe class SpanHelpers
    {
        private static void ClearWithoutReferences(ref byte target, nuint byteLength)
        {
            fixed (byte* address = &target)
            {
                _ = memset(address, 0, byteLength);
            }
        }

        private static void Fill(ref byte target, byte value, nuint byteLength)
        {
            fixed (byte* address = &target)
            {
                _ = memset(address, value, byteLength);
            }
        }

        private static void Memmove(ref byte target, ref byte source, nuint byteLength)
        {
            fixed (byte* to = &target)
            fixed (byte* from = &source)
            {
                _ = memmove(to, from, byteLength);
            }
        }

#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's.
        [RuntimeImport("*", "memset")]
        [MethodImpl(MethodImplOptions.InternalCall)]
        private static extern void* memset(void* address, int value, nuint bytes);

        [RuntimeImport("*", "memmove")]
        [MethodImpl(MethodImplOptions.InternalCall)]
        private static extern void* memmove(void* destination, void* source, nuint bytes);
#pragma warning restore IDE1006, SYSLIB1054
    }
}

namespace Internal.Runtime.CompilerHelpers
{
    /// <summary>
    /// Entries of the runtime that compiled code may call. A call of a C function is bracketed, so that a collector could run
    /// meanwhile, and followed by a poll: there is no collector, and nothing to do.
    /// </summary>
    internal static unsafe class RuntimeEntries
    {
        [RuntimeExport("RhpPInvoke")]
        private static void BeginCall(void* frame)
        {
        }

        [RuntimeExport("RhpPInvokeReturn")]
        private static void EndCall(void* frame)
        {
        }

        [RuntimeExport("RhpReversePInvoke")]
        private static void BeginCallback(void* frame)
        {
        }

        [RuntimeExport("RhpReversePInvokeReturn")]
        private static void EndCallback(void* frame)
        {
        }

        [RuntimeExport("RhpGcPoll")]
        private static void Poll()
        {
        }

        /// <summary>A broken stack cookie: somebody wrote past the end of a local buffer.</summary>
        [RuntimeExport("RhpFallbackFailFast")]
        private static void FailFast() => abort();

#pragma warning disable IDE1006, SYSLIB1054 // The name is libc's.
        [RuntimeImport("*", "abort")]
        [MethodImpl(MethodImplOptions.InternalCall)]
        private static extern void abort();
#pragma warning restore IDE1006, SYSLIB1054
    }
}
