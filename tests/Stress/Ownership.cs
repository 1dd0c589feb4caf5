using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Kmem.Tests.Stress;

/// <summary>
/// What makes a lost or doubled object visible: every live object carries its owner's tag at both ends, and is checked and wiped by
/// whoever frees it. An object that two owners hold loses one of the tags.
/// </summary>
internal static unsafe class Ownership
{
    public static void Mark(nint address, int sizeBytes, long tag)
    {
        *(long*)address = tag;
        *(long*)((byte*)address + sizeBytes - sizeof(long)) = ~tag;
    }

    public static void CheckAndWipe(nint address, int sizeBytes, long tag)
    {
        long first = Interlocked.Exchange(ref *(long*)address, 0);
        long last = Interlocked.Exchange(ref *(long*)((byte*)address + sizeBytes - sizeof(long)), 0);
        if (first != tag || last != ~tag)
        {
            throw new InvalidOperationException($"The object 0x{address:x} of {sizeBytes} bytes carries 0x{first:x} and 0x{last:x}, and its owner's tag is 0x{tag:x}: it was handed out twice or written by somebody else.");
        }
    }
}

/// <summary>An object on its way from one thread to another.</summary>
internal readonly record struct Parcel(nint Address, int SizeBytes, long Tag);

/// <summary>Threads whose exceptions come out at the end, and a signal for all of them to stop.</summary>
internal sealed class Crew
{
    private readonly List<Thread> _threads = [];
    private readonly ConcurrentQueue<Exception> _failures = [];
    private volatile bool _stop;

    public bool IsStopped => _stop || !_failures.IsEmpty;

    public void Add(Action work)
    {
        Thread thread = new(() =>
        {
            try
            {
                work();
            }
#pragma warning disable CA1031 // Whatever happens in a thread is the test's result.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                _failures.Enqueue(exception);
            }
        });
        _threads.Add(thread);
        thread.Start();
    }

    public void Stop() => _stop = true;

    public void Join()
    {
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        if (!_failures.IsEmpty)
        {
            throw new AggregateException(_failures.Take(3));
        }
    }
}
