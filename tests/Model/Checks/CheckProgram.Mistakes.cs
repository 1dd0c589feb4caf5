using System;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Model.Checks;

/// <summary>The one mistake, and the one report that must follow.</summary>
internal sealed unsafe partial class CheckProgram
{
    /// <summary>Bytes that the zones have at least on both sides of an object.</summary>
    private const int ZoneBytes = 8;

    private Mistake _mistake;
    private nint _victim;
    private nint _first;
    private int _count;
    private int _bytes;
    private string _cacheName = "";

    public enum Mistake
    {
        None,
        Overrun,
        Underrun,
        WriteAfterFree,
        WriteAfterReturn,
        DoubleFree,
        LateDoubleFree,
        WrongCache,
        InteriorPointer,
        WriteToBuilt,
    }

    private bool IsMistaken => _mistake != Mistake.None;

    /// <summary>What was done, for whoever has to find out why the report is not the one.</summary>
    public string Story => $"{_mistake} of 0x{_victim:x} ({_bytes} bytes of '{_cacheName}'), first bad byte 0x{_first:x}, {_count} bad";

    /// <summary>Makes it. What the program holds is right again afterwards, but for what was damaged.</summary>
    public void Err()
    {
        Mistake mistake = (Mistake)_random.Next(1, Enum.GetValues<Mistake>().Length);
        while (!_held.Exists(each => Suits(each, mistake)))
        {
            Take();
        }

        int[] suited = [.. Enumerable.Range(0, _held.Count).Where(index => Suits(_held[index], mistake))];
        int chosen = suited[_random.Next(suited.Length)];
        Held victim = Choose(chosen);
        _first = 0;
        _count = 0;
        _mistake = mistake;
        switch (mistake)
        {
            case Mistake.Overrun:
                int gap = _random.Next(ZoneBytes);
                Damage(victim.Address + victim.Bytes + gap, _random.Next(1, ZoneBytes - gap + 1));
                break;
            case Mistake.Underrun:
                int before = _random.Next(1, ZoneBytes + 1);
                Damage(victim.Address - before, _random.Next(1, before + 1));
                break;
            case Mistake.WriteAfterFree or Mistake.WriteToBuilt:
                Drop(chosen);
                DamageFreed(victim);
                break;
            case Mistake.WriteAfterReturn:
                WriteAfterReturn(chosen);
                break;
            case Mistake.DoubleFree:
                Drop(chosen);
                MustThrow(() => FreeFuzzed(victim.Cache, victim.Address));
                break;
            case Mistake.LateDoubleFree:
                Drop(chosen);
                FreeAgainLater(victim);
                break;
            case Mistake.WrongCache:
                MustThrow(() => FreeFuzzed(victim.Cache == 0 ? 1 : 0, victim.Address));
                break;
            default:
                MustThrow(() => FreeFuzzed(victim.Cache, victim.Address + (8 * _random.Next(1, Math.Max(2, victim.Bytes / 8)))));
                break;
        }
    }

    /// <summary>One report, the right one.</summary>
    public void AssertTold()
    {
        Assert.True(_reports.Count == 1, $"{_reports.Count} reports after {Story}:\n{string.Join("\n", _reports)}");
        KmemReport report = _reports[0];
        KmemMisuse misuse = _mistake switch
        {
            Mistake.Overrun => KmemMisuse.WrittenPast,
            Mistake.Underrun => KmemMisuse.WrittenBefore,
            Mistake.WriteAfterFree or Mistake.WriteAfterReturn or Mistake.WriteToBuilt => KmemMisuse.WrittenAfterFree,
            Mistake.DoubleFree or Mistake.LateDoubleFree => KmemMisuse.AlreadyFree,
            Mistake.WrongCache => KmemMisuse.WrongCache,
            _ => KmemMisuse.InteriorPointer,
        };
        string context = $"{Story}:\n{report}\nfreed by {string.Join(" ← ", report.FreedBy)}";
        Assert.True(report.Misuse == misuse, context);
        Assert.True(report.CacheName == _cacheName, context);
        Assert.True(misuse == KmemMisuse.InteriorPointer ? report.Address > (nuint)_victim && report.Address < (nuint)(_victim + Math.Max(_bytes, 16)) : report.Address == (nuint)_victim, context);
        Assert.True(report.BadAddress == (nuint)_first && report.BadBytes == (nuint)_count, context);
        Assert.True(report.AllocatedBy.Any(static frame => frame.Contains("Fuzzed", StringComparison.Ordinal) || frame.Contains(nameof(TakeAndDropMany), StringComparison.Ordinal)), context);
        bool wasFreed = misuse is KmemMisuse.WrittenAfterFree or KmemMisuse.AlreadyFree;
        Assert.True(wasFreed == report.FreedBy.Any(static frame => frame.Contains(nameof(FreeFuzzed), StringComparison.Ordinal)), context);
    }

    /// <summary>Objects of size classes, which have zones; constructed ones for the mistake that needs one.</summary>
    private static bool Suits(Held held, Mistake mistake) =>
        held.Bytes <= (int)LargestPlain && (mistake != Mistake.WriteToBuilt || held.Cache == BuiltCache);

    private Held Choose(int index)
    {
        Held victim = _held[index];
        _victim = victim.Address;
        _bytes = victim.Bytes;

        // A class is not told by the size: alignment, and resizing in place, lead to others.
        string[] quoted = _heap.Describe((void*)victim.Address).Split('\'');
        _cacheName = quoted[1];
        Assert.True(victim.Cache < 0 ? _cacheName.StartsWith("kmalloc-", StringComparison.Ordinal) : _cacheName == _caches[victim.Cache].Name, _cacheName);
        return victim;
    }

    private void MustThrow(Action call)
    {
        int before = _reports.Count;
        Assert.Throws<KmemMisuseException>(call);
        Assert.True(_reports.Count == before + 1, Story);
    }

    private void Damage(nint first, int count)
    {
        for (int at = 0; at < count; at++)
        {
            *(byte*)(first + at) ^= (byte)_random.Next(1, 256);
        }

        _first = first;
        _count = count;
    }

    private void DamageFreed(Held victim)
    {
        int at = _random.Next(victim.Bytes);
        Damage(victim.Address + at, _random.Next(1, Math.Min(16, victim.Bytes - at) + 1));
    }

    /// <summary>The object is in its slab, which another object keeps; if none does, it waits like any other.</summary>
    private void WriteAfterReturn(int chosen)
    {
        Held victim = _held[chosen];
        Drop(chosen);
        _heap.Trim();
        if (_heap.Describe((void*)victim.Address).Contains("free in its slab", StringComparison.Ordinal))
        {
            DamageFreed(victim);
            return;
        }

        // The slab went with it, and what is written there is nobody's any more: another victim.
        _mistake = Mistake.WriteAfterFree;
        while (!_held.Exists(static each => Suits(each, Mistake.WriteAfterFree)))
        {
            Take();
        }

        chosen = _held.FindIndex(static each => Suits(each, Mistake.WriteAfterFree));
        victim = Choose(chosen);
        Drop(chosen);
        DamageFreed(victim);
    }

    /// <summary>After other operations, unless the object was handed out again meanwhile: then it would be the free of somebody else's.</summary>
    private void FreeAgainLater(Held victim)
    {
        for (int left = _random.Next(60); left > 0; left--)
        {
            Step();
            if (_held.Exists(each => each.Address == victim.Address) || !IsKnownAsFree(victim))
            {
                break;
            }
        }

        if (!IsKnownAsFree(victim) || _held.Exists(each => each.Address == victim.Address))
        {
            while (!_held.Exists(static each => Suits(each, Mistake.DoubleFree)))
            {
                Take();
            }

            int other = _held.FindIndex(static each => Suits(each, Mistake.DoubleFree));
            victim = Choose(other);
            Drop(other);
        }

        MustThrow(() => FreeFuzzed(victim.Cache, victim.Address));
    }

    private bool IsKnownAsFree(Held victim)
    {
        string what = _heap.Describe((void*)victim.Address);
        return what.Contains("free, waiting", StringComparison.Ordinal) || what.Contains("free in its slab", StringComparison.Ordinal);
    }
}
