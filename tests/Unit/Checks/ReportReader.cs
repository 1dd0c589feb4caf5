using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Reads the text of a report line by line, as docs/DEBUGGING.md explains it, and fails at the first line that is not as it says.</summary>
internal sealed partial class ReportReader
{
    private readonly string[] _lines;
    private int _next;

    private ReportReader(string text) => _lines = text.Split('\n');

    /// <summary>The mistake, in words.</summary>
    public string What { get; private set; } = "";

    public string CacheName { get; private set; } = "";

    public string HeapName { get; private set; } = "";

    public nuint Object { get; private set; }

    public byte Found { get; private set; }

    public byte Expected { get; private set; }

    public nuint BadAddress { get; private set; }

    public int BadBytes { get; private set; }

    /// <summary>Where the first bad byte is seen from the object.</summary>
    public string Where { get; private set; } = "";

    public int RequestedBytes { get; private set; }

    public int CapacityBytes { get; private set; }

    public string State { get; private set; } = "";

    public IReadOnlyList<string> AllocatedBy { get; private set; } = [];

    public IReadOnlyList<string> FreedBy { get; private set; } = [];

    public IReadOnlyList<string> FoundBy { get; private set; } = [];

    /// <summary>Bytes shown: address, value, whether it is marked as bad, what its row is said to belong to.</summary>
    public List<(nuint Address, byte Value, bool IsBad, string Row)> Bytes { get; } = [];

    public string Done { get; private set; } = "";

    private string Current => _next < _lines.Length ? _lines[_next] : "";

    /// <summary>A report of damage: every line, in order, and none besides.</summary>
    public static ReportReader OfDamage(string text)
    {
        ReportReader reader = new(text);
        reader.ReadHead();
        reader.ReadFound();
        reader.ReadObject();
        reader.ReadUsers();
        reader.ReadBytes();
        reader.FoundBy = reader.ReadStack(FoundByLine(), isRequired: true);
        reader.Done = reader.Take(DoneLine()).Groups[1].Value;
        reader.ReadEnd();
        return reader;
    }

    /// <summary>A report of a free that damaged nothing: one line, and what the tracks tell.</summary>
    public static ReportReader OfMisuse(string text)
    {
        ReportReader reader = new(text);
        reader.What = reader.Take(MisuseLine()).Groups[1].Value;
        reader.ReadUsers();
        reader.FoundBy = reader.ReadStack(FoundByLine(), isRequired: false);
        reader.ReadEnd();
        return reader;
    }

    private void ReadHead()
    {
        GroupCollection head = Take(HeadLine()).Groups;
        (What, CacheName, HeapName, Object) = (head[1].Value, head[2].Value, head[3].Value, ParseAddress(head[4].Value));
    }

    private void ReadFound()
    {
        Match track = NoSenseLine().Match(Current);
        if (track.Success)
        {
            _next++;
            BadAddress = ParseAddress(track.Groups[1].Value);
            return;
        }

        GroupCollection found = Take(FoundLine()).Groups;
        Found = byte.Parse(found[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        Expected = byte.Parse(found[2].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        BadAddress = ParseAddress(found[3].Value);
        Where = found[4].Value;
        BadBytes = int.Parse(found[5].Value, CultureInfo.InvariantCulture);
    }

    private void ReadObject()
    {
        GroupCollection it = Take(ObjectLine()).Groups;
        RequestedBytes = int.Parse(it[1].Value, CultureInfo.InvariantCulture);
        CapacityBytes = int.Parse(it[2].Value, CultureInfo.InvariantCulture);
        State = it[3].Value;
    }

    private void ReadUsers()
    {
        AllocatedBy = ReadStack(AllocatedLine(), isRequired: false);
        FreedBy = ReadStack(FreedLine(), isRequired: false);
    }

    private void ReadBytes()
    {
        Take(BytesLine());
        for (Match row; (row = RowLine().Match(Current)).Success; _next++)
        {
            nuint address = ParseAddress(row.Groups[1].Value);
            Assert.Equal((nuint)0, address % 16);
            Assert.True(Bytes.Count == 0 || Bytes[^1].Address < address);
            string cells = row.Groups[2].Value;
            for (int index = 0; index < 16; index++)
            {
                string cell = cells.Substring(3 * index, 3);
                if (!string.IsNullOrWhiteSpace(cell))
                {
                    Bytes.Add((address + (nuint)index, byte.Parse(cell.AsSpan(1), NumberStyles.HexNumber, CultureInfo.InvariantCulture), cell[0] == '>', row.Groups[3].Value));
                }
            }
        }

        Assert.NotEmpty(Bytes);
    }

    private List<string> ReadStack(Regex head, bool isRequired)
    {
        List<string> frames = [];
        if (!isRequired && !head.IsMatch(Current))
        {
            return frames;
        }

        Take(head);
        for (; Current.StartsWith("    at ", StringComparison.Ordinal); _next++)
        {
            frames.Add(Current["    at ".Length..]);
        }

        Assert.NotEmpty(frames);
        return frames;
    }

    private void ReadEnd() => Assert.True(_next == _lines.Length, $"There is more: {Current}");

    private Match Take(Regex line)
    {
        Match match = line.Match(Current);
        Assert.True(match.Success, $"Line {_next + 1} is not {line}:\n{string.Join('\n', _lines)}");
        _next++;
        return match;
    }

    private static nuint ParseAddress(string text) => nuint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^Kmem: ([a-z ]+): cache '(\S+)' of the heap '(.+)', object 0x([0-9a-f]+)$")]
    private static partial Regex HeadLine();

    [GeneratedRegex(@"^Kmem: [^:]+(?: '\S+')?: ([^.]+)\. ")]
    private static partial Regex MisuseLine();

    [GeneratedRegex(@"^  found     0x([0-9a-f]{2}), not 0x([0-9a-f]{2}), at 0x([0-9a-f]+), (.+); (\d+) bytes from the first bad one to the last$")]
    private static partial Regex FoundLine();

    [GeneratedRegex(@"^  found     no sense at 0x([0-9a-f]+), in the track behind it$")]
    private static partial Regex NoSenseLine();

    [GeneratedRegex(@"^  object    \d+ of \d+ in the slab 0x[0-9a-f]+, (\d+) of (\d+) bytes asked for, (.+)$")]
    private static partial Regex ObjectLine();

    [GeneratedRegex(@"^  allocated by thread \d+, (?:\d+ ms|\d+\.\d s) ago$")]
    private static partial Regex AllocatedLine();

    [GeneratedRegex(@"^  freed     by thread \d+, (?:\d+ ms|\d+\.\d s) ago$")]
    private static partial Regex FreedLine();

    [GeneratedRegex("^  bytes$")]
    private static partial Regex BytesLine();

    [GeneratedRegex(@"^    0x([0-9a-f]+) ((?:[ >][0-9a-f ]{2}){16})  (left zone|object|right zone|track)$")]
    private static partial Regex RowLine();

    [GeneratedRegex(@"^  found by  thread \d+$")]
    private static partial Regex FoundByLine();

    [GeneratedRegex("^  done      (.+)$")]
    private static partial Regex DoneLine();
}
