using System;

namespace EntityStore;

/// <summary>Collections by generation, and how long they stopped the program.</summary>
internal readonly record struct Collections(int Youngest, int Middle, int Oldest, TimeSpan Pauses)
{
    public string Counts => $"{Youngest}/{Middle}/{Oldest}";

    public static Collections Now() => new(GC.CollectionCount(0), GC.CollectionCount(1), GC.CollectionCount(2), GC.GetTotalPauseDuration());

    public Collections Since(Collections before) => new(Youngest - before.Youngest, Middle - before.Middle, Oldest - before.Oldest, Pauses - before.Pauses);
}
