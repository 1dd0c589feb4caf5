using System.Collections.Generic;
using Kmem.Tool.Traces.Programs;

namespace Kmem.Tool.Traces;

/// <summary>What the lines of a trace were. Every line that is not blank is counted in exactly one of the line counts.</summary>
internal sealed class TraceSummary
{
    /// <summary>Malformed lines that are kept to be shown.</summary>
    public const int MalformedKept = 3;

    /// <summary>Lines, blank ones included.</summary>
    public long Lines { get; set; }

    /// <summary>The program, where the trace is one of a program: then there are no lines. Null for a kernel's.</summary>
    public ProgramTrace? Program { get; init; }

    /// <summary>Well-formed events of the <c>kmem</c> group, or of the program.</summary>
    public long Events { get; set; }

    /// <summary>Of <see cref="Events"/>: of a kind that is not replayed.</summary>
    public long NotReplayed { get; set; }

    /// <summary>Events of other groups.</summary>
    public long OtherEvents { get; set; }

    /// <summary>Comment lines.</summary>
    public long Comments { get; set; }

    /// <summary>Lines that are no event at all.</summary>
    public long Unrecognised { get; set; }

    /// <summary>Events of the group that could not be used.</summary>
    public long Malformed { get; set; }

    /// <summary>Events that the recorder says it lost.</summary>
    public long LostEvents { get; set; }

    /// <summary>The first malformed lines.</summary>
    public List<MalformedLine> FirstMalformed { get; } = [];
}

/// <summary>A line that could not be used.</summary>
/// <param name="Number">Number of the line, from 1.</param>
/// <param name="Problem">What is wrong with it.</param>
/// <param name="Text">The line, shortened.</param>
internal sealed record MalformedLine(long Number, string Problem, string Text);
