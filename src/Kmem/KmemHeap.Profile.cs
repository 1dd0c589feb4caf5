using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Runtime.CompilerServices;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;

namespace Kmem;

/// <summary>Who holds the memory: by call site from samples, and by tag.</summary>
public sealed unsafe partial class KmemHeap
{
    private const string ProfileVariable = "KMEM_PROFILE";

    private readonly Dictionary<string, KmemTag> _tags = new(StringComparer.Ordinal);

    internal SiteProfile Profile { get; } = new();

    /// <summary>
    /// Mean bytes between two samples of the profile; 0: none are taken. May be changed at any time: what was sampled so far stays in the profile. An object that is sampled has
    /// about 48 bytes more, and its allocation and free take a microsecond or so.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">More than 1 TiB.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public nuint ProfileIntervalBytes
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return (nuint)Atomic.Load(&Core->Registry.SampleIntervalBytes);
        }

        set => SetProfileInterval(value, (ulong)Random.Shared.NextInt64());
    }

    /// <summary>The profile of this moment: live and total objects and bytes by call site, and the tags.</summary>
    /// <returns>The profile; without sites where no samples were taken.</returns>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemProfile GetProfile()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new KmemProfile
        {
            HeapName = Name,
            IntervalBytes = Atomic.Load(&Core->Registry.SampleIntervalBytes),
            TakenAt = DateTimeOffset.UtcNow,
            Sites = Profile.Sites(),
            Tags = TagStatistics(),
        };
    }

    /// <summary>
    /// A tag for a part of the program: it allocates from this heap and counts exactly. The same name gives the same tag; without a name each line that calls has its own.
    /// Keep the tag rather than asking for it each time.
    /// </summary>
    /// <param name="name">Name in profiles; null takes the caller's.</param>
    /// <param name="member">Filled in by the compiler.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <returns>The tag.</returns>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemTag Tag(string? name = null, [CallerMemberName] string member = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        name ??= string.Create(CultureInfo.InvariantCulture, $"{member} in {Path.GetFileName(file)}:{line}");
        lock (_tags)
        {
            if (!_tags.TryGetValue(name, out KmemTag? tag))
            {
                _tags.Add(name, tag = new KmemTag(this, name));
            }

            return tag;
        }
    }

    /// <summary>The same chance gives the same samples, in one thread that stays on its CPU.</summary>
    internal void SetProfileInterval(nuint intervalBytes, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((ulong)intervalBytes, (ulong)Sampling.IntervalBytesMax, nameof(intervalBytes));
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Sampling.SetInterval(&Core->Registry, (long)intervalBytes, seed);
        }
    }

    /// <summary>Bytes of an allocation, whatever was asked for. Unlike the usable size the same in a heap with checks, as long as the allocation is not resized.</summary>
    internal nuint CapacityOf(void* pointer)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        nuint capacity = SizedHeap.Capacity(Core, pointer, out Misuse misuse);
        ThrowIfMisuse(misuse, pointer, "Free through a tag");
        return capacity;
    }

    private static nuint ChooseProfileInterval(nuint? option)
    {
        string? text = option == null ? Environment.GetEnvironmentVariable(ProfileVariable) : null;
        nuint interval = option ?? 0;
        if (!string.IsNullOrEmpty(text) && !nuint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out interval))
        {
            throw new ArgumentException($"{ProfileVariable} is the bytes between two samples, or 0, not '{text}'.");
        }

        return (ulong)interval <= (ulong)Sampling.IntervalBytesMax ? interval
            : throw new ArgumentOutOfRangeException(nameof(option), interval, $"The profile takes a sample for each {Sampling.IntervalBytesMax} bytes at least.");
    }

    private List<KmemTagStatistics> TagStatistics()
    {
        List<KmemTagStatistics> all = [];
        lock (_tags)
        {
            foreach (KmemTag tag in _tags.Values)
            {
                all.Add(tag.GetStatistics());
            }
        }

        all.Sort((left, right) => right.LiveBytes.CompareTo(left.LiveBytes));
        return all;
    }
}
