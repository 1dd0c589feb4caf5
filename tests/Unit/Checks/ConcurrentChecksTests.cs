using System;
using System.Collections.Generic;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Where nothing is damaged nothing is found, whoever looks while others allocate, resize and free.</summary>
public sealed unsafe class ConcurrentChecksTests
{
    private const int Threads = 3;
    private const int Operations = 30_000;

    [Theory]
    [InlineData("Z")]
    [InlineData("ZP")]
    [InlineData("U")]
    [InlineData("FZPU")]
    public void Validation_beside_other_threads_finds_nothing(string letters)
    {
        using CheckedHeap bench = new(letters);
        using KmemCache cache = bench.CreateCache("busy", 48);
        Exception? failure = null;
        int running = Threads;
        Thread[] threads = new Thread[Threads];
        for (int index = 0; index < Threads; index++)
        {
            int seed = index;
            threads[index] = new Thread(() =>
            {
                try
                {
                    Work(bench.Heap, cache, new Random(seed));
                }
                catch (Exception exception)
                {
                    failure = exception;
                }
                finally
                {
                    Interlocked.Decrement(ref running);
                }
            });
            threads[index].Start();
        }

        while (Volatile.Read(ref running) != 0)
        {
            bench.Heap.Validate();
            _ = cache.Shrink();
            _ = bench.Heap.FindLeaks();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Null(failure);
        bench.AssertClean();
        Assert.Equal(0, bench.Heap.FindLeaks().Objects);
    }

    private static void Work(KmemHeap heap, KmemCache cache, Random random)
    {
        List<(nint Pointer, bool IsOfCache)> live = [];
        for (int operation = 0; operation < Operations; operation++)
        {
            int at = random.Next(200);
            if (at >= live.Count)
            {
                bool isOfCache = random.Next(2) == 0;
                int bytes = isOfCache ? 48 : random.Next(1, 300);
                byte* fresh = (byte*)(isOfCache ? cache.Alloc() : heap.Alloc((nuint)bytes));
                new Span<byte>(fresh, bytes).Fill((byte)operation);
                live.Add(((nint)fresh, isOfCache));
                continue;
            }

            (nint pointer, bool isOf) = live[at];
            if (!isOf && random.Next(3) == 0)
            {
                int bytes = random.Next(1, 300);
                byte* moved = (byte*)heap.Realloc((void*)pointer, (nuint)bytes);
                moved[bytes - 1] = 1;
                live[at] = ((nint)moved, false);
                continue;
            }

            Free(pointer, isOf);
            live[at] = live[^1];
            live.RemoveAt(live.Count - 1);
        }

        foreach ((nint pointer, bool isOfCache) in live)
        {
            Free(pointer, isOfCache);
        }

        void Free(nint pointer, bool isOfCache)
        {
            if (isOfCache)
            {
                cache.Free((void*)pointer);
            }
            else
            {
                heap.Free((void*)pointer);
            }
        }
    }
}
