using System;

namespace Kmem.Tool.Hosting;

/// <summary>A failure that the user can do something about: its message is the whole of what is printed, and the exit code is 1.</summary>
internal sealed class ToolException : Exception
{
    public ToolException(string message)
        : base(message)
    {
    }

    public ToolException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
