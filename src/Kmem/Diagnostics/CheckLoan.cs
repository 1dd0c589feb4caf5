using System.Collections.Generic;
using System.Text;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>Checks that somebody outside switched on in all heaps, beside what is on, until he is gone.</summary>
internal sealed class CheckLoan
{
    private readonly List<KmemHeap> _heaps = [];

    /// <summary>Caches that got letters.</summary>
    public int Caches { get; private set; }

    /// <summary>Null: the text is not of the form of <see cref="KmemHeapOptions.Debug"/>. Only F, Z, P and U are lent.</summary>
    public static unsafe CheckLoan? Take(string debug)
    {
        byte[] spec = Encoding.UTF8.GetBytes(debug + '\0');
        fixed (byte* text = spec)
        {
            if (spec.Length == 1 || Engine.Caches.CheckSpec.FindBad(text) != 0)
            {
                return null;
            }
        }

        CheckLoan loan = new();
        foreach (KmemHeap heap in HeapDirectory.All())
        {
            loan._heaps.Add(heap);
            loan.Caches += heap.Lend(spec);
        }

        return loan;
    }

    /// <summary>What was lent is off again.</summary>
    public void Return()
    {
        foreach (KmemHeap heap in _heaps)
        {
            heap.TakeBack();
        }
    }
}
