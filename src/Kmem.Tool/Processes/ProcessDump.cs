using Kmem.Tool.Hosting;
using Microsoft.Diagnostics.Tracing;

namespace Kmem.Tool.Processes;

/// <summary>What a process answers to one request, as its events tell it, in the order in which they come.</summary>
internal abstract class ProcessDump(string request)
{
    /// <summary>Names the dump, since those of other sessions come too.</summary>
    public string Request { get; } = request;

    /// <summary>The keyword of the source <c>Kmem</c> that asks for it.</summary>
    public abstract long Keyword { get; }

    /// <summary>Whether the process answered at all.</summary>
    public bool HasStarted { get; protected set; }

    public bool HasEnded { get; protected set; }

    /// <summary>Why there will be no dump; else null.</summary>
    public string? Failure { get; protected set; }

    /// <summary>Takes in an event of the source <c>Kmem</c>; events of other requests are passed over.</summary>
    public void Add(TraceEvent each)
    {
        if (!HasEnded && each.PayloadByName("request") as string == Request)
        {
            AddOwn(each);
        }
    }

    protected abstract void AddOwn(TraceEvent each);

    protected static string Text(TraceEvent each, string name) => each.PayloadByName(name) as string ?? throw Unknown(name);

    protected static long Number(TraceEvent each, string name) => each.PayloadByName(name) switch
    {
        long number => number,
        int number => number,
        _ => throw Unknown(name),
    };

    private static ToolException Unknown(string field) => new($"the process has another version of Kmem, whose events lack '{field}'");
}
