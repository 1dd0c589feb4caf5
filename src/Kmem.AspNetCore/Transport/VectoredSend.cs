using System;
using System.Buffers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kmem.AspNetCore.Transport;

/// <summary>One send of several blocks from where they lie: Linux's <c>sendmsg</c>. The framework offers that for managed arrays only.</summary>
internal static unsafe partial class VectoredSend
{
    private const int BlocksMax = 32;
    private const int DoNotWait = 0x40;
    private const int NoSignal = 0x4000;

    /// <summary>Whether this is a machine for it. Tests turn it off, to run what other systems do.</summary>
    public static bool IsAvailable { get; internal set; } = OperatingSystem.IsLinux() && Environment.Is64BitProcess;

    /// <summary>Sends as much as there is room for, without waiting.</summary>
    /// <param name="socket">A connected socket on which no other send is under way.</param>
    /// <param name="buffer">What to send: the first 32 blocks of it.</param>
    /// <returns>Bytes that were sent. 0: there is no room, or the connection is broken, which the framework's own next send finds and names.</returns>
    public static int TrySend(Socket socket, in ReadOnlySequence<byte> buffer)
    {
        IoVector* vectors = stackalloc IoVector[BlocksMax];
        Pins pins = default;
        int blocks = 0;
        SafeSocketHandle handle = socket.SafeHandle;
        bool isHeld = false;
        try
        {
            handle.DangerousAddRef(ref isHeld);
            SequencePosition position = buffer.Start;
            while (blocks < BlocksMax && buffer.TryGet(ref position, out ReadOnlyMemory<byte> block))
            {
                pins[blocks] = block.Pin();
                vectors[blocks] = new IoVector { Start = pins[blocks].Pointer, Bytes = (nuint)block.Length };
                blocks++;
            }

            // SAFETY: the blocks are pinned and the descriptor is held until the call has returned.
            MessageHeader message = new() { Vectors = vectors, VectorCount = (nuint)blocks };
            return (int)nint.Max(SendMessage((int)handle.DangerousGetHandle(), &message, DoNotWait | NoSignal), 0);
        }
        finally
        {
            for (int index = 0; index < blocks; index++)
            {
                pins[index].Dispose();
            }

            if (isHeld)
            {
                handle.DangerousRelease();
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg")]
    private static partial nint SendMessage(int descriptor, MessageHeader* message, int flags);

    /// <summary>The kernel's <c>struct iovec</c>.</summary>
    private struct IoVector
    {
        public void* Start;
        public nuint Bytes;
    }

    /// <summary>The kernel's <c>struct msghdr</c> on a 64-bit machine.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        public void* Name;
        public uint NameBytes;
        public IoVector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlBytes;
        public int Flags;
    }

    [InlineArray(BlocksMax)]
    private struct Pins
    {
        private MemoryHandle _first;
    }
}
