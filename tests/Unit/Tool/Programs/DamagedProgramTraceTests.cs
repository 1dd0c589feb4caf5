using System;
using System.Linq;
using System.Text;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary>Files that are not as they should be: refused with the byte and the reason, or read as far as they are whole.</summary>
public sealed class DamagedProgramTraceTests : IDisposable
{
    private const int Header = 4096;
    private const int Chunk = 65536;

    private readonly TestFolder _folder = new();
    private readonly ProgramTraceWriter _writer = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Two threads in two chunks; the first chunk's records begin at byte 4104 with a thread of 7 bytes.</summary>
    private byte[] Small()
    {
        _writer.Alloc(0, 0x1000, 100);
        _writer.Alloc(1, 0x2000, 200);
        _writer.Free(1, 0x1000);
        return _writer.ToArray();
    }

    private void Refuses(byte[] file, string message)
    {
        string path = _folder.Write("t", file);
        ToolRun run = ToolRun.Of("replay", "--cold", path);
        Assert.Equal((1, "", $"kmem: {path}: {message}\n"), (run.ExitCode, run.Output, run.Error));
    }

    private static byte[] With(byte[] file, int at, params byte[] bytes)
    {
        byte[] changed = (byte[])file.Clone();
        bytes.CopyTo(changed, at);
        return changed;
    }

    [Fact]
    public void Another_version() => Refuses(With(Small(), 8, 2), "a trace of version 2; this kmem reads version 1");

    [Theory]
    [InlineData(12, "size of the header")]
    [InlineData(16, "size of chunks")]
    [InlineData(56, "flags")]
    [InlineData(60, "length of the command line")]
    public void A_header_that_cannot_be_right(int at, string field) => Refuses(With(Small(), at, 0xF0, 0xFF), $"damaged at byte {at}: the {field} cannot be right");

    [Fact]
    public void A_file_of_a_header_alone()
    {
        Refuses(Small()[..Header], "no event in the trace of program --option 'two words'");
        Refuses(Small()[..100], "the trace is cut off in its header, after 100 bytes");
    }

    [Fact]
    public void Chunks_that_are_none_or_another_one()
    {
        Refuses(With(Small(), Header, (byte)'X'), $"damaged at byte {Header}: chunk 0 does not begin with KMTC");
        Refuses(With(Small(), Header + Chunk + 4, 7), $"damaged at byte {Header + Chunk + 4}: chunk 1 says that it is number 7");
    }

    [Fact]
    public void Records_that_are_none()
    {
        byte[] file = Small();
        Refuses(With(file, Header + 8, 0x0F), $"damaged at byte {Header + 8}: no record begins like that");
        Refuses(With(file, Header + 8, 0x11), $"damaged at byte {Header + 8}: an event, and no thread that it is of");
        Refuses(With(file, Header + 9, 0), $"damaged at byte {Header + 8}: a thread without a number");
    }

    [Fact]
    public void Something_behind_the_end()
    {
        byte[] file = Small();
        Refuses(With(file, Header + Chunk - 1, 1), $"damaged at byte {EndOf(file, 0)}: there is something behind the last record");
        Refuses(With(file, EndOf(file, 0), 9, 0, 1), $"damaged at byte {EndOf(file, 0) + 1}: there is something behind the end of the chunk");
    }

    [Fact]
    public void Numbers_that_are_too_long()
    {
        byte[] file = Small();
        byte[] endless = Enumerable.Repeat((byte)0xFF, 11).ToArray();
        Refuses(With(file, EndOf(file, 0), [0x14, .. endless]), $"damaged at byte {EndOf(file, 0)}: a number of more than 64 bits");
        Refuses(With(file, EndOf(file, 0), 0x04, 0, 2), $"damaged at byte {EndOf(file, 0)}: two events with the same number");
        Refuses(With(file, EndOf(file, 0), [0x04, .. endless[..9], 1, 2]), $"damaged at byte {EndOf(file, 0)}: the number of an event is too large");
    }

    [Fact]
    public void Two_events_with_one_number()
    {
        byte[] file = Small();

        // The second thread's first number is 2, and the first one's next one too.
        Refuses(With(file, EndOf(file, 0), 0x14, 2), $"damaged at byte {Header + Chunk + 14}: an event has the number of another one");
    }

    [Fact]
    public void A_thread_that_goes_back()
    {
        byte[] file = Small();

        // Both chunks are of thread 0 then; its number in the second one is below what it had reached in the first one.
        file = With(file, Header + Chunk + 9, 1);
        file = With(file, EndOf(file, 0), 0x94, 2);
        Refuses(file, $"damaged at byte {Header + Chunk + 14}: thread 0 is at number 1, and elsewhere beyond it");
    }

    [Fact]
    public void An_event_that_was_being_written_is_left_out()
    {
        byte[] file = Small();
        string path = _folder.Write("t", With(file, EndOf(file, 0), 0, 0x77, 0x05));
        ToolRun run = ToolRun.Of("replay", "--cold", path, "--json", "-");
        Assert.Equal((0, $"kmem: {path}: the program ended while an event was written, at byte {EndOf(file, 0):N0}; it is left out\n"), (run.ExitCode, run.Error));
        Assert.Contains("\"events\": 3,", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Lost_events_and_an_early_end_are_told()
    {
        byte[] file = Small();
        file[48] = 12;
        file[56] = 2;
        string path = _folder.Write("t", file);
        Assert.Equal(
            $"kmem: {path}: the recording stopped before the program ended, as the recorder said when it did\nkmem: {path}: 12 events of signal handlers not recorded\n",
            ToolRun.Of("replay", "--cold", path).Error);
    }

    [Fact]
    public void A_chunk_that_nobody_wrote_into_is_skipped()
    {
        byte[] file = Small();
        Array.Clear(file, Header, Chunk);
        string path = _folder.Write("t", file);
        Assert.Equal(["1 alloc 2000 200", "1 free 1000"], ProgramEvents.Read(path).Events);
        Assert.Equal($"kmem: {path}: 1 event is missing: of threads that ended in the middle of one, or of parts of the file that are not there\n", ToolRun.Of("replay", "--cold", path).Error);
    }

    [Fact]
    public void A_file_that_is_cut_anywhere_gives_what_is_whole()
    {
        RandomProgram.Write(_writer, 11, 150, threads: 2);
        byte[] file = _writer.ToArray();
        int all = ProgramEvents.Read(_folder.Write("whole", file)).Events.Count;
        int before = 0;
        foreach (int length in Lengths(file))
        {
            string path = _folder.Write("cut", file[..length]);
            if (length < Header)
            {
                Assert.Equal(length == 0 ? "the file is empty" : length < 8 ? ProgramEvents.Refusal(path) : $"the trace is cut off in its header, after {length:N0} bytes", ProgramEvents.Refusal(path));
            }
            else if (ProgramEvents.Refusal(path) is { } refusal)
            {
                Assert.Equal(0, before);
                Assert.StartsWith("no event in the trace of ", refusal, StringComparison.Ordinal);
            }
            else
            {
                (var events, var summary) = ProgramEvents.Read(path);
                Assert.True(events.Count >= before && events.Count <= all, $"{events.Count} events after {length} bytes");
                Assert.Equal((length - Header) % Chunk != 0, summary.Program!.Notes.Any(static note => note.StartsWith("the file is cut off in chunk ", StringComparison.Ordinal)));
                before = events.Count;
            }
        }

        Assert.Equal(all, before);
    }

    [Fact]
    public void A_file_with_one_byte_changed_is_read_or_refused()
    {
        RandomProgram.Write(_writer, 12, 90, threads: 2);
        byte[] file = _writer.ToArray();
        int refused = 0;
        int read = 0;
        foreach (int at in Lengths(file).Where(at => at < file.Length && at >= 8))
        {
            foreach (byte value in new byte[] { 0x00, 0xFF, (byte)(file[at] ^ 0x01), (byte)(file[at] ^ 0x80) })
            {
                string? refusal = ProgramEvents.Refusal(_folder.Write("changed", With(file, at, value)));
                Assert.True(refusal == null || refusal.StartsWith("damaged at byte ", StringComparison.Ordinal) || refusal.StartsWith("a trace of version ", StringComparison.Ordinal), refusal);
                refused += refusal == null ? 0 : 1;
                read += refusal == null ? 1 : 0;
            }
        }

        Assert.True(refused > 300 && read > 300, $"{refused} refused, {read} read");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_file_with_changes_anywhere_is_replayed_or_refused(int seed)
    {
        RandomProgram.Write(_writer, 20 + seed, 300);
        byte[] file = _writer.ToArray();
        int[] places = [.. Lengths(file).Where(at => at < file.Length)];
        Random random = new(seed);
        for (int round = 0; round < 60; round++)
        {
            byte[] changed = (byte[])file.Clone();
            for (int count = random.Next(1, 4); count > 0; count--)
            {
                changed[places[random.Next(places.Length)]] ^= (byte)(1 << random.Next(8));
            }

            ToolRun run = ToolRun.Of("replay", "--cold", _folder.Write("changed", changed), "--threads", "2", "--limit", "256M", "--json", "-");
            Assert.Equal(run.ExitCode == 0, run.Output.Length > 0);
            Assert.True(run.ExitCode is 0 or 1, $"seed {seed}, round {round}: {run.Error}");
            Assert.DoesNotContain("internal error", run.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Noise_behind_the_first_bytes_is_refused()
    {
        for (int seed = 0; seed < 50; seed++)
        {
            byte[] noise = new byte[Header + Chunk];
            new Random(seed).NextBytes(noise);
            Small()[..Header].CopyTo(noise, 0);
            Encoding.ASCII.GetBytes("KMTC\0\0\0\0").CopyTo(noise, Header);
            Assert.StartsWith("damaged at byte ", ProgramEvents.Refusal(_folder.Write("t", noise)), StringComparison.Ordinal);
        }
    }

    /// <summary>All lengths near what is written, and some in between.</summary>
    private static int[] Lengths(byte[] file)
    {
        return
        [
            .. Enumerable.Range(0, file.Length + 1).Where(at => at % 4093 == 0 || at == file.Length || (at >= Header - 2 && at <= Header + 2)
                || at is < 80 || (at >= Header && file.AsSpan(Math.Max(at - 6, 0), Math.Min(8, file.Length - Math.Max(at - 6, 0))).ContainsAnyExcept((byte)0))),
        ];
    }

    /// <summary>Offset behind the last record of a chunk.</summary>
    private static int EndOf(byte[] file, int chunk)
    {
        int start = Header + (chunk * Chunk);
        return start + file.AsSpan(start, Chunk).LastIndexOfAnyExcept((byte)0) + 1;
    }
}
