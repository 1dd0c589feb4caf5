using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;

namespace Kmem.Engine;

/// <summary>The current thread's front, and how the engine learns that a thread has ended.</summary>
internal static unsafe partial class Face
{
    /// <summary>Whether a thread's end can be noticed, without which no thread may have a front.</summary>
    public static bool CanWatchThreads => EndOfThread.Key >= 0;

    /// <summary>Whether the thread may be given a front.</summary>
    public static bool MayHaveFront => true;

    /// <summary>Of the heap that has fronts; null for a thread without.</summary>
    public static ThreadFront* CurrentFront() => (ThreadFront*)FrontOfThread.Address;

    /// <summary>Gives the thread a front until it ends; then the front becomes abandoned. False when the C library has no room to remember it.</summary>
    public static bool TrySetCurrentFront(ThreadFront* front)
    {
        bool isWatched = SetThreadValue((uint)EndOfThread.Key, front) == 0;
        FrontOfThread.Address = isWatched ? (nuint)front : 0;
        if (isWatched)
        {
            FindStack(&front->StackLow, &front->StackBytes);
        }

        return isWatched;
    }

    /// <summary>Where the current thread's stack ends, above all its frames; 0 where the C library does not say.</summary>
    public static nuint EndOfStack()
    {
        nuint low = 0;
        nuint bytes = 0;
        if (OperatingSystem.IsLinux())
        {
            FindStack(&low, &bytes);
        }

        return bytes == 0 ? 0 : low + bytes;
    }

    /// <summary>The frame pointer of the caller; 0 where nobody can tell.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint FramePointer() =>
        FaceStubs.FramePointer == 0 ? 0 : ((delegate* unmanaged[SuppressGCTransition]<nuint>)FaceStubs.FramePointer)();

    /// <summary>0 bytes where the C library does not say.</summary>
    private static void FindStack(nuint* low, nuint* bytes)
    {
        *bytes = 0;
        const int AttributesBytes = 64;
        byte* attributes = stackalloc byte[AttributesBytes];
        if (GetAttributes(GetThread(), attributes) == 0)
        {
            _ = GetStack(attributes, low, bytes);
            _ = DestroyAttributes(attributes);
        }
    }

    [DllImport("libc", EntryPoint = "pthread_self")]
    private static extern nint GetThread();

    [DllImport("libc", EntryPoint = "pthread_getattr_np")]
    private static extern int GetAttributes(nint thread, byte* attributes);

    [DllImport("libc", EntryPoint = "pthread_attr_getstack")]
    private static extern int GetStack(byte* attributes, nuint* low, nuint* bytes);

    [DllImport("libc", EntryPoint = "pthread_attr_destroy")]
    private static extern int DestroyAttributes(byte* attributes);

    [DllImport("libc", EntryPoint = "pthread_key_create")]
    private static extern int CreateKey(uint* key, nint destructor);

    [DllImport("libc", EntryPoint = "pthread_setspecific")]
    private static extern int SetThreadValue(uint key, void* value);

    /// <summary>
    /// When a thread ends, the C library calls the key's destructor with what the thread stored under it. That is emitted code:
    /// managed code cannot run there any more.
    /// </summary>
    private static class EndOfThread
    {
        /// <summary>−1 where there is none.</summary>
        public static readonly long Key = Make();

        private static long Make()
        {
            uint key;
            return FaceStubs.Abandon != 0 && CreateKey(&key, FaceStubs.Abandon) == 0 ? key : -1;
        }
    }
}

/// <summary>Alone in its class: an access costs no check that other statics are initialised.</summary>
internal static class FrontOfThread
{
    /// <summary>Address of the thread's front, or 0.</summary>
    [ThreadStatic]
    public static nuint Address;
}
