using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Kmem.Engine.Primitives;

/// <summary>
/// What must be true inside the engine. <see cref="Holds"/> is compiled into Debug builds only and costs O(1);
/// <see cref="Check"/> stays in every build and guards against going on with broken structures.
/// Mistakes of callers are not invariants: they are answered with a result, and the face reports them.
/// </summary>
internal static class Invariant
{
    [Conditional("DEBUG")]
    public static void Holds(
        bool condition,
        [CallerArgumentExpression(nameof(condition))] string text = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        if (!condition)
        {
            Face.Fail(text, file, line);
        }
    }

    public static void Check(
        bool condition,
        [CallerArgumentExpression(nameof(condition))] string text = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        if (!condition)
        {
            Face.Fail(text, file, line);
        }
    }
}
