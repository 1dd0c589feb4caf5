using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>
/// Turns damage that the engine found into a report, and acts on the cache's policy. The engine holds what no exception may pass: what is to be thrown waits in the
/// thread until the public call is about to return.
/// </summary>
internal static unsafe class DamageReport
{
    [ThreadStatic]
    private static KmemMisuseException? t_pending;

    public static bool HasPending => t_pending != null;

    public static void ThrowPending()
    {
        KmemMisuseException? pending = t_pending;
        if (pending != null)
        {
            t_pending = null;
            throw pending;
        }
    }

    /// <summary>For a thread that is nobody's caller: what waits is handed on.</summary>
    public static KmemMisuseException? TakePending()
    {
        KmemMisuseException? pending = t_pending;
        t_pending = null;
        return pending;
    }

    public static DamagePolicy PolicyFor(Cache* twin)
    {
        KmemHeap? heap = HeapDirectory.Of(twin->Registry);
        return heap == null ? DamagePolicy.Throw : heap.PolicyOf(twin->UserIndex) switch
        {
            KmemMisusePolicy.FailFast => DamagePolicy.FailFast,
            KmemMisusePolicy.Quarantine => DamagePolicy.SetSlabAside,
            KmemMisusePolicy.Repair => DamagePolicy.Repair,
            _ => DamagePolicy.Throw,
        };
    }

    /// <param name="twin">The cache.</param>
    /// <param name="damage">What was found.</param>
    /// <param name="policy">What is done about it.</param>
    /// <param name="kept">What it looked like, if it was made whole already, whatever the policy; else null.</param>
    public static void Raise(Cache* twin, Damage* damage, DamagePolicy policy, DamagedBytes* kept = null)
    {
        KmemReport report = Describe(twin, damage, policy, kept);
        KmemReports.Publish(report);
        switch (policy)
        {
            case DamagePolicy.FailFast:
                Environment.FailFast(report.Text);
                break;
            case DamagePolicy.Throw:
                t_pending ??= new KmemMisuseException(report);
                break;
            default:
                if (!KmemReports.HasSubscribers)
                {
                    Console.Error.WriteLine(report.Text);
                }

                break;
        }
    }

    private static KmemReport Describe(Cache* twin, Damage* damage, DamagePolicy policy, DamagedBytes* kept)
    {
        KmemHeap? heap = HeapDirectory.Of(twin->Registry);
        CheckedLayout* layout = &twin->Checked;
        nuint requested = layout->CapacityBytes;
        ObjectTrack* track = Cache.TrackOf(twin, damage->Object);
        if (track != null)
        {
            requested = track->RequestedBytes;
        }

        KmemMisuse misuse = MisuseOf(damage->Kind);
        ReportText text = new();
        KnownStack found = StackDepot.Now();
        ObjectUsers users = ObjectUsers.Of(twin, damage->Object);
        text.Head(misuse, twin, heap?.Name ?? "?", damage->Object);
        text.Damage(damage, requested, layout->CapacityBytes);
        text.Object(twin, damage->Object, requested);
        text.Users(users);
        text.Bytes(twin, damage, kept, requested);
        text.Found(found);
        text.Done(policy, isWhole: kept != null, isGuarded: (twin->Checks & CacheChecks.Guarded) != 0);
        return new KmemReport
        {
            Misuse = misuse,
            Operation = OperationOf(found.Entry),
            HeapName = heap?.Name ?? "?",
            CacheName = AddressDescription.NameOf(twin),
            Address = damage->Object,
            RequestedBytes = requested,
            BadAddress = damage->Address,
            BadBytes = damage->Bytes,
            Found = damage->Found,
            Expected = damage->Expected,
            AllocatedBy = users.AllocatedBy,
            FreedBy = users.FreedBy,
            FoundBy = found.Frames,
            Text = text.ToString(),
        };
    }

    /// <summary>The public call. Its slow rungs are not inlined; what a timer calls is maintenance.</summary>
    private static string OperationOf(string entry)
    {
        if (entry.StartsWith('<') || entry.StartsWith(nameof(KmemHeap.Maintain), StringComparison.Ordinal))
        {
            return nameof(KmemHeap.Maintain);
        }

        const string Slow = "Slow";
        return entry.EndsWith(Slow, StringComparison.Ordinal) ? entry[..^Slow.Length] : entry;
    }

    private static KmemMisuse MisuseOf(DamageKind kind) => kind switch
    {
        DamageKind.LeftZone => KmemMisuse.WrittenBefore,
        DamageKind.RightZone => KmemMisuse.WrittenPast,
        DamageKind.AfterFree => KmemMisuse.WrittenAfterFree,
        DamageKind.Track => KmemMisuse.TrackDamaged,
        _ => KmemMisuse.SlabDamaged,
    };
}

/// <summary>Who allocated and who freed an object of a checked cache last.</summary>
internal sealed unsafe class ObjectUsers
{
    public string[] AllocatedBy { get; private init; } = [];

    public string[] FreedBy { get; private init; } = [];

    public uint AllocThread { get; private init; }

    public uint FreeThread { get; private init; }

    /// <summary>In milliseconds.</summary>
    public uint AllocAge { get; private init; }

    public uint FreeAge { get; private init; }

    /// <summary>Whether it was ever allocated, and ever freed, as far as the track tells.</summary>
    public bool IsKnown { get; private init; }

    public bool WasFreed { get; private init; }

    /// <summary>One line for a description: who allocated it, and who freed it; empty where that is not known.</summary>
    public string Summary => !IsKnown ? ""
        : $"; allocated {ReportText.Age(AllocAge)} ago by thread {AllocThread}{(AllocatedBy.Length == 0 ? "" : " at " + AllocatedBy[0])}"
        + (WasFreed ? $"; freed {ReportText.Age(FreeAge)} ago by thread {FreeThread}{(FreedBy.Length == 0 ? "" : " at " + FreedBy[0])}" : "");

    public static ObjectUsers Of(Cache* twin, nuint address)
    {
        ObjectTrack* track = Cache.TrackOf(twin, address);
        if (track == null || (twin->Checks & (CacheChecks.Users | CacheChecks.Sampled | CacheChecks.Guarded)) == 0)
        {
            return new ObjectUsers();
        }

        uint now = Engine.Face.CoarseMilliseconds();
        return new ObjectUsers
        {
            IsKnown = track->AllocThread != 0,
            WasFreed = track->FreeThread != 0,
            AllocatedBy = StackDepot.Get(track->AllocStack)?.Frames ?? [],
            FreedBy = StackDepot.Get(track->FreeStack)?.Frames ?? [],
            AllocThread = track->AllocThread,
            FreeThread = track->FreeThread,
            AllocAge = now - track->AllocMilliseconds,
            FreeAge = now - track->FreeMilliseconds,
        };
    }
}

/// <summary>The lines of a report. The grammar is in <c>docs/DEBUGGING.md</c>.</summary>
internal sealed unsafe class ReportText
{
    private const int BytesOfRow = 16;
    private const int BytesAround = 32;

    private readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString().TrimEnd();

    public void Add(string line) => Line(line);

    private void Line(string line) => _text.Append(line).Append('\n');

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    public void Head(KmemMisuse misuse, Cache* twin, string heapName, nuint address) =>
        Line(Format($"Kmem: {MisuseReport.Explain(misuse)}: cache '{AddressDescription.NameOf(twin)}' of the heap '{heapName}', object 0x{address:x}"));

    public void Damage(Damage* damage, nuint requested, uint capacity)
    {
        if (damage->Kind is DamageKind.Slab)
        {
            Line("  found     the bits of its slab do not agree with their count or with the descriptors of its pages");
            return;
        }

        string where = damage->Kind switch
        {
            DamageKind.LeftZone => Format($"{damage->Object - damage->Address} bytes before the start"),
            DamageKind.RightZone => Format($"{damage->Address - damage->Object - requested} bytes past the {requested} that were asked for"),
            DamageKind.AfterFree => Format($"{damage->Address - damage->Object} bytes into {capacity}"),
            _ => "in the track behind it",
        };
        Line(damage->Kind == DamageKind.Track
            ? Format($"  found     no sense at 0x{damage->Address:x}, {where}")
            : Format($"  found     0x{damage->Found:x2}, not 0x{damage->Expected:x2}, at 0x{damage->Address:x}, {where}; {damage->Bytes} bytes from the first bad one to the last"));
    }

    public void Object(Cache* twin, nuint address, nuint requested)
    {
        if ((twin->Checks & CacheChecks.Guarded) != 0)
        {
            Line(Format($"  object    on guarded pages, {requested} of {twin->CapacityBytes} bytes asked for, {AddressDescription.StateOf(twin, address)}"));
            return;
        }

        SlabLayout* layout = &twin->Slabs.Layout;
        nuint slab = SlabLists.StartOfSlab(&twin->Slabs, (void*)address);
        nuint index = (address - slab - layout->LeadBytes) / layout->StrideBytes;
        Line(Format($"  object    {index} of {layout->Objects} in the slab 0x{slab:x}, {requested} of {twin->CapacityBytes} bytes asked for, {AddressDescription.StateOf(twin, address)}"));
    }

    /// <summary>The first line of a guarded object.</summary>
    public void Guarded(Cache* twin, GuardSlot* slot)
    {
        string heap = HeapDirectory.Of(twin->Registry)?.Name ?? "?";
        Line(Format($": cache '{AddressDescription.NameOf(twin)}' of the heap '{heap}', object 0x{slot->Object:x} of {slot->Track.RequestedBytes} bytes, on guarded pages"));
    }

    /// <summary>Who it was, with the time of the day: what an age is counted from is not known yet.</summary>
    public void UsersAt(string what, uint thread, uint milliseconds, KnownStack? stack)
    {
        DateTime time = DateTime.UtcNow.AddMilliseconds(-(double)(Engine.Face.CoarseMilliseconds() - milliseconds));
        Line(Format($"  {what} by thread {thread}, at {time:HH:mm:ss.fff} UTC"));
        Frames(stack?.Frames ?? []);
    }

    public void Users(ObjectUsers users)
    {
        if (users.IsKnown)
        {
            Line(Format($"  allocated by thread {users.AllocThread}, {Age(users.AllocAge)} ago"));
            Frames(users.AllocatedBy);
        }

        if (users.WasFreed)
        {
            Line(Format($"  freed     by thread {users.FreeThread}, {Age(users.FreeAge)} ago"));
            Frames(users.FreedBy);
        }
    }

    public void Bytes(Cache* twin, Damage* damage, DamagedBytes* kept, nuint requested)
    {
        CheckedLayout* layout = &twin->Checked;
        nuint from = damage->Object - layout->LeftZoneBytes;
        nuint track = damage->Object + layout->TrackOffset;
        nuint to = damage->Kind == DamageKind.Track ? track + layout->TrackBytes : track;
        if ((twin->Checks & CacheChecks.Guarded) != 0)
        {
            GuardPool.PageOf(twin->Registry, damage->Object, out from, out to);
        }

        nuint first = damage->Address - (damage->Address % BytesOfRow);
        nuint start = first - from > BytesAround && first > from ? first - BytesAround : from - (from % BytesOfRow);
        nuint end = first + BytesOfRow + BytesAround < to ? first + BytesOfRow + BytesAround : to;
        Line("  bytes");
        for (nuint row = start; row < end; row += BytesOfRow)
        {
            _text.Append(CultureInfo.InvariantCulture, $"    0x{row:x} ");
            for (nuint at = row; at < row + BytesOfRow; at++)
            {
                bool isIn = at >= from && at < to;
                bool isBad = at >= damage->Address && at < damage->Address + damage->Bytes;
                _text.Append(isBad && isIn ? '>' : ' ');
                byte value = !isIn ? (byte)0 : kept != null && at - kept->Start < kept->Count ? kept->Bytes[at - kept->Start] : *(byte*)at;
                _text.Append(isIn ? value.ToString("x2", CultureInfo.InvariantCulture) : "  ");
            }

            _text.Append(row < damage->Object ? "  left zone" : row < damage->Object + requested ? "  object" : damage->Kind != DamageKind.Track || row < track ? "  right zone" : "  track").Append('\n');
        }
    }

    public void Found(KnownStack stack)
    {
        Line(Format($"  found by  thread {Environment.CurrentManagedThreadId}"));
        Frames(stack.Frames);
    }

    public void Done(DamagePolicy policy, bool isWhole, bool isGuarded) => Line("  done      " + policy switch
    {
        DamagePolicy.Throw when isWhole => "the object was made whole and stays in use; the call throws",
        DamagePolicy.SetSlabAside when isWhole => "the object was made whole and stays in use",
        DamagePolicy.SetSlabAside or DamagePolicy.Repair when isGuarded && !isWhole => "what was asked for: the object has its pages for itself",
        DamagePolicy.Throw when isGuarded => "what was asked for; then the call throws",
        DamagePolicy.SetSlabAside => "the slab is set aside: none of its objects is handed out any more",
        DamagePolicy.Repair => "the object was made whole and stays in use",
        DamagePolicy.FailFast => "the process ends",
        _ => "the object is set aside; the call throws",
    });

    private void Frames(IReadOnlyList<string> frames)
    {
        foreach (string frame in frames)
        {
            Line("    at " + frame);
        }
    }

    public static string Age(uint milliseconds) => milliseconds < 1000 ? Format($"{milliseconds} ms") : Format($"{milliseconds / 1000.0:0.0} s");
}
