using System;
using System.Text;
using Kmem.Tool.Hosting;
using Kmem.Tool.Traces.Programs;

namespace Kmem.Tool.Traces;

/// <summary>
/// Cuts a trace into lines, parses each and hands the events to a plan. Lines are spans into one buffer; nothing is
/// allocated for a line.
/// </summary>
internal static class TraceReader
{
    /// <summary>No line of a trace is so long; a file without line breaks is no trace.</summary>
    private const int MaxLineBytes = 1 << 20;

    private const int ShownCharacters = 100;

    /// <summary>
    /// Reads all of <paramref name="source"/> into <paramref name="plan"/>, be it a kernel's text or a program's trace. Throws a
    /// <see cref="ToolException"/> where it is neither.
    /// </summary>
    public static TraceSummary Read(TraceSource source, string path, TracePlanBuilder plan)
    {
        TraceSummary summary = new();
        byte[] buffer = new byte[MaxLineBytes];
        int start = ReadStart(source, buffer.AsSpan(0, ProgramTraceFormat.Magic.Length));
        if (buffer.AsSpan(0, start).SequenceEqual(ProgramTraceFormat.Magic))
        {
            return ProgramTraceReader.Read(source, path, buffer.AsSpan(0, start), plan.Add);
        }

        int filled = 0;
        int pointerDigits = 0;
        while (true)
        {
            int read = start > 0 ? start : source.Read(buffer.AsSpan(filled));
            start = 0;
            RejectBinary(path, buffer.AsSpan(filled, read));
            filled += read;
            ReadOnlySpan<byte> text = buffer.AsSpan(0, filled);
            if (summary.Lines == 0 && text.StartsWith("\uFEFF"u8))
            {
                text = text["\uFEFF"u8.Length..];
            }

            for (int lineBreak; (lineBreak = text.IndexOf((byte)'\n')) >= 0;)
            {
                AddLine(text[..lineBreak], summary, plan, ref pointerDigits, isWhole: true);
                text = text[(lineBreak + 1)..];
            }

            if (read == 0)
            {
                if (!text.IsEmpty)
                {
                    AddLine(text, summary, plan, ref pointerDigits, isWhole: false);
                }

                break;
            }

            if (text.Length == buffer.Length)
            {
                throw new ToolException($"{path}: line {summary.Lines + 1:N0} is longer than {MaxLineBytes:N0} bytes; this is not a text trace");
            }

            text.CopyTo(buffer);
            filled = text.Length;
        }

        RequireEvents(path, summary);
        return summary;
    }

    /// <summary>What a program's trace holds, without its events.</summary>
    public static TraceSummary Count(TraceSource source, string path)
    {
        byte[] magic = new byte[ProgramTraceFormat.Magic.Length];
        int start = ReadStart(source, magic);
        return magic.AsSpan(0, start).SequenceEqual(ProgramTraceFormat.Magic)
            ? ProgramTraceReader.Read(source, path, magic, sink: null)
            : throw new ToolException($"{path}: is no trace of a program");
    }

    /// <summary>A decompressor may give a byte at a time.</summary>
    private static int ReadStart(TraceSource source, Span<byte> start)
    {
        int filled = 0;
        for (int read; filled < start.Length && (read = source.Read(start[filled..])) > 0;)
        {
            filled += read;
        }

        return filled;
    }

    private static void AddLine(ReadOnlySpan<byte> line, TraceSummary summary, TracePlanBuilder plan, ref int pointerDigits, bool isWhole)
    {
        summary.Lines++;
        TraceLine kind = FtraceParser.Parse(line, out TraceEvent parsed, out string problem);
        if (!isWhole)
        {
            kind = CheckLastLine(kind, line, parsed, pointerDigits, ref problem);
        }

        switch (kind)
        {
            case TraceLine.Event:
                summary.Events++;
                if (parsed.Kind == TraceEventKind.NotReplayed)
                {
                    summary.NotReplayed++;
                }

                pointerDigits = Math.Max(pointerDigits, parsed.PointerDigits);
                plan.Add(parsed);
                break;
            case TraceLine.Malformed:
                summary.Malformed++;
                if (summary.FirstMalformed.Count < TraceSummary.MalformedKept)
                {
                    summary.FirstMalformed.Add(new MalformedLine(summary.Lines, problem, Shorten(line)));
                }

                break;
            case TraceLine.Comment:
                summary.Comments++;
                break;
            case TraceLine.OtherEvent:
                summary.OtherEvents++;
                break;
            case TraceLine.Lost:
                summary.LostEvents += FtraceParser.ParseLostEvents(line);
                break;
            case TraceLine.Unrecognised:
                summary.Unrecognised++;
                break;
        }
    }

    /// <summary>
    /// A last line without a line break may have been cut. It is used only when nothing that matters can have been shortened:
    /// not where a number runs up to the end, or where the pointer has fewer digits than those before it.
    /// </summary>
    private static TraceLine CheckLastLine(TraceLine kind, ReadOnlySpan<byte> line, in TraceEvent parsed, int pointerDigits, ref string problem)
    {
        // One digit is how 0x0 is printed.
        bool shortPointer = parsed.PointerDigits > (parsed.IsNull ? 1 : 0) && parsed.PointerDigits < pointerDigits;
        bool shortened = kind == TraceLine.Event && ((parsed.EndsInNumber && char.IsAsciiDigit((char)line[^1])) || shortPointer);
        if (shortened || kind is TraceLine.Unrecognised or TraceLine.Malformed)
        {
            problem = "the file ends in the middle of this line";
            return TraceLine.Malformed;
        }

        return kind;
    }

    private static void RejectBinary(string path, ReadOnlySpan<byte> text)
    {
        if (text.Contains((byte)0))
        {
            throw new ToolException($"{path}: holds binary data; a text trace is expected (of ftrace, 'trace-cmd report' or 'perf script')");
        }
    }

    private static void RequireEvents(string path, TraceSummary summary)
    {
        if (summary.Events > 0)
        {
            return;
        }

        if (summary.Lines == 0)
        {
            throw new ToolException($"{path}: the file is empty");
        }

        if (summary.Malformed > 0)
        {
            MalformedLine first = summary.FirstMalformed[0];
            string all = summary.Malformed == 1 ? "the only kmem event" : $"all {summary.Malformed:N0} kmem events";
            throw new ToolException($"{path}: {all} cannot be used; line {first.Number:N0}: {first.Problem}: {first.Text}");
        }

        string others = summary.OtherEvents > 0 ? $", but {summary.OtherEvents:N0} of other groups" : "";
        throw new ToolException($"{path}: no kmem event in {summary.Lines:N0} lines{others}; 'kmem replay --help' says which traces are read");
    }

    private static string Shorten(ReadOnlySpan<byte> line)
    {
        string text = Encoding.UTF8.GetString(line[..Math.Min(line.Length, 4 * ShownCharacters)]).Trim();
        StringBuilder shown = new();
        foreach (char character in text.AsSpan(0, Math.Min(text.Length, ShownCharacters)))
        {
            shown.Append(char.IsControl(character) ? '?' : character);
        }

        return text.Length > ShownCharacters ? shown.Append('…').ToString() : shown.ToString();
    }
}
