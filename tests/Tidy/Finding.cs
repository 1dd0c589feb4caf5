using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Tidy;

/// <summary>One breach of a rule: where it is and what to do about it.</summary>
public sealed record Finding(string File, int Line, string Message)
{
    public override string ToString() => $"{File}:{Line}: {Message}";

    /// <summary>Fails with one line for each finding, in the form that editors turn into links.</summary>
    public static void AssertNone(IEnumerable<Finding> findings)
    {
        List<Finding> list = [.. findings.OrderBy(f => f.File, System.StringComparer.Ordinal).ThenBy(f => f.Line)];
        if (list.Count != 0)
        {
            Assert.Fail($"{list.Count} finding(s):\n" + string.Join('\n', list));
        }
    }
}
