using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;

namespace Kmem.Native;

/// <summary>Whether a thread may have a front.</summary>
internal enum NativeThreadState : uint
{
    /// <summary>It may, and has none yet. Zeroed memory.</summary>
    New = 0,

    /// <summary>It has one, or is just being given one.</summary>
    HasFront = 1,

    /// <summary>It is ending, or cannot be watched: its CPU's magazines serve it.</summary>
    Without = 2,
}

/// <summary>What a thread has of its own, in thread-local memory that <c>entry.c</c> declares, since C# without a runtime cannot.</summary>
internal unsafe struct NativeThread
{
    /// <summary>Null for a thread without. The entry points pass it to the fast path.</summary>
    public ThreadFront* Front;

    public NativeThreadState State;

    /// <summary>The recorder's, while the program is recorded.</summary>
    public TraceThread Trace;

    /// <summary>False while a program is recorded: then every call takes the slow rungs, which tell the recorder.</summary>
    public static bool FrontsAreGiven => !s_areWithheld;

    private static bool s_areWithheld;

    public static NativeThread* Current() => entry_thread();

    public static bool TrySetFront(ThreadFront* front)
    {
        NativeThread* thread = Current();

        // The C library may allocate to remember the thread: it finds the front already.
        thread->State = NativeThreadState.HasFront;
        thread->Front = front;
        if (entry_watch_thread(front) != 0)
        {
            thread->Front = null;
            thread->State = NativeThreadState.Without;
        }

        return thread->Front != null;
    }

    /// <summary>From now on no thread gets a front, and this one gives up its own.</summary>
    public static void WithholdFronts()
    {
        s_areWithheld = true;
        NativeThread* thread = Current();
        if (thread->Front != null)
        {
            ThreadFront* front = thread->Front;
            thread->Front = null;
            thread->State = NativeThreadState.Without;
            Atomic.Store(&front->State, ThreadFrontState.Abandoned);
        }
    }

    /// <summary>This thread as the recorder knows it. From the first call on its end is watched for.</summary>
    public static TraceThread* Traced()
    {
        NativeThread* thread = Current();
        if (thread->State == NativeThreadState.New)
        {
            // The C library may allocate to remember the thread: it finds that done. A free, which may be the thread's first call, leaves errno alone.
            int errno = Libc.Errno;
            thread->State = NativeThreadState.Without;
            _ = entry_watch_thread(thread);
            Libc.Errno = errno;
        }

        return &thread->Trace;
    }

    /// <summary>The C library says that the thread ends. Other code of it may still allocate and free.</summary>
    [RuntimeExport("face_thread_ends")]
    public static void Ends()
    {
        NativeThread* thread = Current();
        ThreadFront* front = thread->Front;
        thread->Front = null;
        thread->State = NativeThreadState.Without;
        if (front != null)
        {
            Atomic.Store(&front->State, ThreadFrontState.Abandoned);
        }

        TraceRecorder.ThreadEnds(&thread->Trace);
    }

#pragma warning disable IDE1006, SYSLIB1054 // The names are those in entry.c.
    [RuntimeImport("*", "entry_thread")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern NativeThread* entry_thread();

    /// <summary>Lets <see cref="Ends"/> be called when the thread ends. Not 0: the C library refuses.</summary>
    [RuntimeImport("*", "entry_watch_thread")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int entry_watch_thread(void* front);
#pragma warning restore IDE1006, SYSLIB1054
}
